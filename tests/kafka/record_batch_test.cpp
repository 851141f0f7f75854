#include "kafka/record_batch.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/checksum_trail.hpp"
#include "base/error.hpp"
#include "kafka/captured_batches.hpp"
#include "kafka/transaction_scan.hpp"

namespace lifeboat::kafka {
namespace {

using captured::kAborted;
using captured::kAbortMarker;
using captured::kCommitMarker;
using captured::kCommitted;
using captured::kCompacted;

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string all_codecs() {
  return bytes_of(captured::kPlain) + bytes_of(captured::kGzip) + bytes_of(captured::kSnappy) +
         bytes_of(captured::kLz4) + bytes_of(captured::kZstd);
}

Code code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::failed;
}

TEST(RecordBatch, HeadersAreReadAsTheBrokerWroteThem) {
  const auto bytes = all_codecs();
  const auto split = split_batches(bytes);
  EXPECT_EQ(split.whole, bytes.size());
  const Compression codecs[] = {Compression::none, Compression::gzip, Compression::snappy,
                                Compression::lz4, Compression::zstd};
  ASSERT_EQ(split.batches.size(), std::size(codecs));
  for (int i = 0; i < 5; ++i) {
    const auto& batch = split.batches[static_cast<std::size_t>(i)];
    EXPECT_EQ(batch.base_offset(), Offset(3 * i));
    EXPECT_EQ(batch.next_offset(), Offset(3 * i + 3));
    EXPECT_EQ(batch.record_count(), 3);
    EXPECT_EQ(batch.compression(), codecs[i]);
    EXPECT_EQ(batch.producer().id, -1);
    EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(0));
    EXPECT_FALSE(batch.is_transactional() || batch.is_control() || batch.has_holes());
    EXPECT_GT(batch.base_timestamp(), Timestamp(0));
    EXPECT_GE(batch.max_timestamp(), batch.base_timestamp());
  }
}

TEST(RecordBatch, TheChecksumOfManyIsPutTogetherFromTheirOwn) {
  const auto bytes = all_codecs();
  EXPECT_EQ(crc32c_of(split_batches(bytes).batches), crc32c(bytes));
  EXPECT_EQ(crc32c_of({}), crc32c(""));
}

TEST(RecordBatch, EveryTruncationLeavesTheWholeBatchesBefore) {
  const auto bytes = all_codecs();
  const auto whole = split_batches(bytes);
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    const auto cut = split_batches(std::string_view(bytes).substr(0, n));
    EXPECT_LE(cut.whole, n);
    for (std::size_t i = 0; i < cut.batches.size(); ++i) {
      EXPECT_EQ(cut.batches[i].bytes(), whole.batches[i].bytes());
    }
    if (cut.batches.size() < whole.batches.size()) {
      EXPECT_LT(n - cut.whole, whole.batches[cut.batches.size()].bytes().size());
    }
  }
}

// The CRC does not cover base offset, length and leader epoch (bytes 0 to 15): a flip there may
// only move the batch or cut it off. Any other must be refused.
TEST(RecordBatch, EveryFlippedBitIsRefusedOrOutsideTheChecksum) {
  for (const char* hex : {captured::kPlain, captured::kZstd, kCompacted, kAbortMarker}) {
    const auto good = bytes_of(hex);
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        auto bad = good;
        bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
        try {
          const auto split = split_batches(bad);
          ASSERT_LT(at, 16u) << "byte " << at << " bit " << bit << " went through";
          for (const auto& batch : split.batches) {
            EXPECT_EQ(batch.bytes().substr(16), std::string_view(good).substr(16));
          }
        } catch (const Error& error) {
          EXPECT_TRUE(error.code() == Code::corrupt || error.code() == Code::unsupported);
        }
      }
    }
  }
}

// Batches that are longer than the steps of the trail, and one that is shorter.
TEST(RecordBatch, ATrailChecksWhatReadingChecks) {
  std::string good;
  for (const std::size_t size : {100'000, 500, 40'000}) {
    BatchFields fields;
    fields.base_offset = Offset(static_cast<std::int64_t>(good.size()));
    fields.record_count = 1;
    good += make_batch(fields, std::string(size, 'r'));
  }
  const auto check = [](const std::string& bytes) {
    ChecksumTrail trail;
    trail.add(std::string_view(bytes).substr(0, 33'333));
    trail.add(std::string_view(bytes).substr(33'333));
    return split_batches(bytes, &trail).batches.size();
  };
  EXPECT_EQ(check(good), 3u);
  for (std::size_t at = 17; at < good.size(); at += 499) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    EXPECT_EQ(code_of([&] { check(bad); }), Code::corrupt) << at;
  }
}

TEST(RecordBatch, OldFormatsAreRefusedByName) {
  for (const char magic : {0, 1}) {
    auto bytes = bytes_of(captured::kPlain);
    bytes[16] = magic;
    try {
      split_batches(bytes);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unsupported);
      EXPECT_NE(std::string(error.what()).find("magic"), std::string::npos);
    }
  }
}

TEST(RecordBatch, AnImpossibleLengthTakesNoMemory) {
  auto bytes = bytes_of(captured::kPlain);
  for (const char top : {'\x7f', '\xff'}) {
    bytes[8] = top;
    EXPECT_EQ(code_of([&] { split_batches(bytes); }), Code::corrupt);
  }
}

TEST(RecordBatch, OffsetsThatFallAreCorrupt) {
  const auto bytes = bytes_of(captured::kGzip) + bytes_of(captured::kPlain);
  EXPECT_EQ(code_of([&] { split_batches(bytes); }), Code::corrupt);
}

TEST(RecordBatch, PatchTouchesOnlyTheHeader) {
  const auto original = bytes_of(kCommitted);
  auto patched = original;
  patch_for_produce(patched, {"t", PartitionId(0)}, {7, 2, 40});
  const auto view = BatchView::parse(patched);  // the CRC is right
  EXPECT_EQ(view.base_offset(), Offset(0));
  EXPECT_FALSE(view.is_transactional());
  EXPECT_EQ(view.producer().id, 7);
  EXPECT_EQ(view.producer().epoch, 2);
  EXPECT_EQ(view.producer().base_sequence, 40);
  EXPECT_EQ(view.base_timestamp(), BatchView::parse(original).base_timestamp());
  EXPECT_EQ(patched.substr(57), original.substr(57));

  auto anonymous = original;
  patch_for_produce(anonymous, {"t", PartitionId(0)});
  EXPECT_EQ(anonymous.substr(43, 14), std::string(14, '\xff'));
}

TEST(RecordBatch, WhatABrokerWouldNotTakeIsRefusedWithItsPlace) {
  for (const char* hex : {kCommitMarker, kCompacted}) {
    auto bytes = bytes_of(hex);
    const auto before = bytes;
    try {
      patch_for_produce(bytes, {"orders", PartitionId(4)});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unsupported);
      EXPECT_EQ(error.subject(), "orders/4");
      const auto text = fmt::format("[{}, ", BatchView::parse(before).base_offset());
      EXPECT_NE(error.message().find(text), std::string::npos) << error.message();
    }
    EXPECT_EQ(bytes, before);
  }
}

TEST(Transactions, MarkersAreRead) {
  const auto abort = bytes_of(kAbortMarker);
  const auto commit = bytes_of(kCommitMarker);
  EXPECT_EQ(transaction_marker(BatchView::parse(abort)), Marker::abort);
  EXPECT_EQ(transaction_marker(BatchView::parse(commit)), Marker::commit);
  EXPECT_EQ(transaction_marker(BatchView::parse(bytes_of(kCommitted))), std::nullopt);
}

TEST(Transactions, OnlyWhatWasAbortedIsDropped) {
  const std::vector<std::string> log = {bytes_of(kAborted), bytes_of(kAbortMarker),
                                        bytes_of(kCommitted), bytes_of(kCommitMarker)};
  TransactionScan scan;
  for (const auto& batch : log) scan.add(BatchView::parse(batch));
  const auto aborted = scan.finish();
  ASSERT_EQ(aborted.size(), 1u);
  EXPECT_EQ(aborted[0].first, Offset(0));
  EXPECT_EQ(aborted[0].end, Offset(2));

  const ReplayFilter filter(aborted);
  const Replay expected[] = {Replay::drop_aborted, Replay::drop_control, Replay::keep,
                             Replay::drop_control};
  for (std::size_t i = 0; i < log.size(); ++i) {
    EXPECT_EQ(filter.decide(BatchView::parse(log[i])), expected[i]) << i;
  }
}

TEST(Transactions, OneWithoutAnEndIsDroppedToo) {
  const auto batch = bytes_of(kCommitted);
  TransactionScan scan;
  scan.add(BatchView::parse(batch));
  scan.add(BatchView::parse(batch));  // a range read twice changes nothing
  const auto aborted = scan.finish();
  ASSERT_EQ(aborted.size(), 1u);
  EXPECT_EQ(ReplayFilter(aborted).decide(BatchView::parse(batch)), Replay::drop_aborted);
}

}  // namespace
}  // namespace lifeboat::kafka
