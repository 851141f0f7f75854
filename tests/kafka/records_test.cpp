#include "kafka/records.hpp"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "kafka/captured_batches.hpp"
#include "kafka/reencode.hpp"

namespace lifeboat::kafka {
namespace {

const TopicPartition kLog{"events", PartitionId(3)};
constexpr Compression kCodecs[] = {Compression::none, Compression::gzip, Compression::snappy,
                                   Compression::lz4, Compression::zstd};

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// "offset time key=value header=value…", null as ~.
std::string text(const Record& record) {
  const auto part = [](const auto& bytes) { return std::string(bytes.value_or("~")); };
  auto out = fmt::format("{} {} {}={}", record.offset, record.timestamp, part(record.key),
                         part(record.value));
  record.headers.each([&](std::string_view key, std::optional<std::string_view> value) {
    out += fmt::format(" {}={}", key, part(value));
  });
  return out;
}

std::vector<std::string> read_all(std::string_view batch, RecordReader reader = RecordReader()) {
  std::vector<std::string> texts;
  reader.open(BatchView::parse(batch, false), kLog);
  for (Record record; reader.next(record);) texts.push_back(text(record));
  return texts;
}

Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {Code::failed, "", ""};
}
Error error_of(std::string_view batch) {
  return error_of([&] { read_all(batch); });
}

struct Plan {
  std::int64_t offset_delta = 0;
  std::int64_t time_delta = 0;
  std::optional<std::string> key = "key";
  std::optional<std::string> value = "value";
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

void append_part(std::string& out, const std::optional<std::string>& part) {
  append_varint(out, part ? static_cast<std::int64_t>(part->size()) : -1);
  out += part.value_or("");
}

std::string record_bytes(const Plan& plan) {
  std::string body(1, '\0');
  append_varint(body, plan.time_delta);
  append_varint(body, plan.offset_delta);
  append_part(body, plan.key);
  append_part(body, plan.value);
  append_varint(body, static_cast<std::int64_t>(plan.headers.size()));
  for (const auto& [key, value] : plan.headers) {
    append_part(body, key);
    append_part(body, value);
  }
  std::string out;
  append_varint(out, static_cast<std::int64_t>(body.size()));
  return out + body;
}

std::string batch_of(const std::vector<Plan>& plans, Compression codec = Compression::none,
                     std::int64_t base = 100) {
  std::string records;
  for (const auto& plan : plans) records += record_bytes(plan);
  const auto last = plans.empty() ? 0 : plans.back().offset_delta;
  return make_batch({Offset(base), codec, static_cast<std::int32_t>(last), Timestamp(1000),
                     Timestamp(5000), static_cast<std::int32_t>(plans.size())},
                    compress(codec, records));
}

std::string raw_batch(Compression codec, std::string_view compressed, int count = 1) {
  return make_batch({Offset(100), codec, std::max(0, count - 1), Timestamp(0), Timestamp(0), count},
                    compressed);
}

void set_attribute(std::string& batch, int bit) {
  batch[22] = static_cast<char>(batch[22] | bit);
}

TEST(Records, AreReadAsProducersWroteThemWithEachCodec) {
  const char* captured_batches[] = {captured::kPlain, captured::kGzip, captured::kSnappy,
                                    captured::kLz4, captured::kZstd};
  const char* names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
  for (int i = 0; i < 5; ++i) {
    const auto batch = bytes_of(captured_batches[i]);
    const auto texts = read_all(batch);
    ASSERT_EQ(texts.size(), 3u) << names[i];
    const auto time = BatchView::parse(batch).base_timestamp();
    for (int n = 0; n < 3; ++n) {
      const auto begin =
          fmt::format("{} {} k{}=value-{}-{}-a", 3 * i + n, time, n + 1, names[i], n + 1);
      EXPECT_TRUE(texts[static_cast<std::size_t>(n)].starts_with(begin))
          << texts[static_cast<std::size_t>(n)];
      EXPECT_TRUE(texts[static_cast<std::size_t>(n)].ends_with(" h=1"));
    }
  }
}

TEST(Records, NullsEmptiesHeadersAndFarTimesAreKeptApart) {
  const std::vector<Plan> plans = {
      {0, 0, std::nullopt, std::nullopt, {}},
      {1, std::int64_t{100} * 365 * 86400 * 1000, "", "", {{"", std::nullopt}, {"", ""}}},
      {2, -1001, "k", std::string("\0\xff", 2), {{"a", "1"}, {"a", "2"}, {"b", std::nullopt}}}};
  for (const auto codec : kCodecs) {
    const auto texts = read_all(batch_of(plans, codec));
    ASSERT_EQ(texts.size(), 3u);
    EXPECT_EQ(texts[0], "100 1000 ~=~");
    EXPECT_EQ(texts[1], "101 3153600001000 = =~ =");
    EXPECT_EQ(texts[2], std::string("102 -1 k=\0\xff a=1 a=2 b=~", 23));
  }
}

TEST(Records, LogAppendTimeIsThatOfTheBatch) {
  auto batch = batch_of({{0, 0, "k", "v", {}}, {1, 77, "k", "v", {}}});
  set_attribute(batch, 0x08);
  EXPECT_EQ(read_all(batch), (std::vector<std::string>{"100 5000 k=v", "101 5000 k=v"}));
}

TEST(Records, HolesOfCompactionAndEmptyBatchesAreRead) {
  EXPECT_EQ(read_all(bytes_of(captured::kCompacted)).size(), 2u);
  EXPECT_TRUE(read_all(batch_of({})).empty());
  for (const auto codec : kCodecs) EXPECT_TRUE(read_all(raw_batch(codec, "", 0)).empty());
}

TEST(Records, JavaFramesOfSnappyAndJoinedStreamsAreRead) {
  const auto records = record_bytes({0, 0, "a", std::string(50, 'x'), {}}) +
                       record_bytes({1, 0, "b", std::string(50, 'y'), {}});
  const auto block = [](std::string_view part) {
    std::string compressed, out;
    snappy::Compress(part.data(), part.size(), &compressed);
    append_be(out, static_cast<std::uint32_t>(compressed.size()));
    return out + compressed;
  };
  const auto header = bytes_of("82534e41505059000000000100000001");
  const auto java = header + block(records.substr(0, 40)) + block(records.substr(40, 3)) + header +
                    block(records.substr(43));
  EXPECT_EQ(read_all(raw_batch(Compression::snappy, java, 2)).size(), 2u);
  for (const auto codec : {Compression::gzip, Compression::zstd}) {
    const auto joined =
        compress(codec, records.substr(0, 40)) + compress(codec, records.substr(40));
    EXPECT_EQ(read_all(raw_batch(codec, joined, 2)).size(), 2u) << to_string(codec);
  }
}

TEST(Records, TheSameReaderReadsBatchAfterBatch) {
  RecordReader reader;
  for (int round = 0; round < 3; ++round) {
    for (const auto codec : kCodecs) {
      const auto batch = batch_of({{0, 0, "k", std::string(100000, 'v'), {}}}, codec);
      reader.open(BatchView::parse(batch), kLog);
      Record record;
      ASSERT_TRUE(reader.next(record));
      EXPECT_EQ(record.value->size(), 100000u);
      EXPECT_FALSE(reader.next(record));
      const auto torn = raw_batch(codec, std::string("\x28\xb5\x2f"), 1);
      EXPECT_EQ(error_of([&] {
                  reader.open(BatchView::parse(torn), kLog);
                  reader.next(record);
                }).code(),
                Code::corrupt);
    }
  }
}

TEST(Records, WhatIsNoRecordIsRefusedWithPartitionAndOffset) {
  const auto good = record_bytes({0, 0, "k", "v", {{"h", "1"}}});
  const auto check = [](const std::string& records, int count, const char* word) {
    for (const auto codec : kCodecs) {
      const auto error = error_of(raw_batch(codec, compress(codec, records), count));
      EXPECT_EQ(error.code(), Code::corrupt) << word;
      EXPECT_TRUE(error.subject().starts_with("events/3 offset 10")) << error.subject();
      EXPECT_NE(error.message().find(word), std::string::npos) << error.message();
    }
  };
  check(good + good, 2, "offset delta 0 after 0");
  check(good, 2, "ends in its length");
  check(good + "x", 1, "follow the last record");
  check(good, 0, "follow the last record");
  check(good.substr(0, good.size() - 1), 1, "are left in the batch");
  check(record_bytes({1, 0, "k", "v", {}}), 1, "in a batch up to 0");
  check(record_bytes({-1, 0, "k", "v", {}}), 1, "offset delta -1");
  check(std::string(11, '\xff'), 1, "ends in its length");
  std::string lying;
  append_varint(lying, 8);
  check(lying + std::string("\0\0\0\x7e\x7e"
                            "abc",
                            8),
        1, "a key of 63 bytes");
  check(lying + std::string("\0\0\0\x03\x01\0\0\0", 8), 1, "a key of -2 bytes");
  check(lying + std::string("\0\0\0\x01\x01\x7e\0\0", 8), 1, "63 headers");
  check(lying + std::string("\0\0\0\x01\x01\x02\x01\x01", 8), 1, "a header without a key");
  check(lying + std::string("\0\0\0\x01\x01\0\0\0", 8), 1, "bytes too many");
  std::string late;
  append_varint(late, 14);
  late.push_back('\0');
  append_varint(late, INT64_MAX);
  auto batch = make_batch({Offset(100), Compression::none, 0, Timestamp(1), Timestamp(1), 1},
                          late + std::string("\0\x01\x01\0", 4));
  EXPECT_NE(error_of(batch).message().find("beyond 64 bits"), std::string::npos);
}

TEST(Records, TornCompressedBytesAreCorrupt) {
  const auto whole = batch_of({{0, 0, "k", std::string(3000, 'v'), {}}});
  for (const auto codec : kCodecs) {
    if (codec == Compression::none) continue;
    const auto compressed = compress(codec, whole.substr(kBatchHeader));
    for (std::size_t size = 0; size < compressed.size(); ++size) {
      EXPECT_EQ(error_of(raw_batch(codec, compressed.substr(0, size))).code(), Code::corrupt)
          << to_string(codec) << " " << size;
    }
    EXPECT_EQ(error_of(raw_batch(codec, compressed + "\1\2\3\4")).code(), Code::corrupt);
  }
}

TEST(Records, ABombIsRefusedAtItsLimit) {
  const std::string zeros(64u << 20, '\0');
  for (const auto codec : kCodecs) {
    if (codec == Compression::none) continue;
    const auto batch = raw_batch(codec, compress(codec, zeros));
    const auto error = error_of([&] { read_all(batch, RecordReader(ByteCount(1u << 20))); });
    EXPECT_EQ(error.code(), Code::unsupported) << to_string(codec);
    EXPECT_NE(error.message().find("larger than 1048576 bytes"), std::string::npos);
  }
}

TEST(Records, ASizeThatSnappyTellsIsNotBelieved) {
  const auto lying = bytes_of("ffffffff0f00");  // 4 GiB - 1 in a block of 6 bytes
  EXPECT_EQ(error_of(raw_batch(Compression::snappy, lying)).code(), Code::corrupt);
}

constexpr Offset kFirst{0};
constexpr Offset kEnd{INT64_MAX};

TEST(Reencode, HolesAreClosedAndNothingElseChanges) {
  const std::vector<Plan> plans = {{2, 5, "a", "1", {{"h", std::nullopt}}},
                                   {3, 4, std::nullopt, "2", {}},
                                   {7, 4000000000, "c", std::nullopt, {}}};
  for (const auto codec : kCodecs) {
    const auto batch = batch_of(plans, codec);
    const auto view = BatchView::parse(batch);
    ASSERT_TRUE(must_reencode(view, kFirst, kEnd));
    auto made = Reencoder().run(view, kLog, kFirst, kEnd).value();
    const auto again = BatchView::parse(made.bytes);
    EXPECT_FALSE(must_reencode(again, kFirst, kEnd));
    EXPECT_EQ(again.compression(), codec);
    EXPECT_EQ(again.max_timestamp(), Timestamp(4000001000));
    EXPECT_EQ(read_all(made.bytes),
              (std::vector<std::string>{"102 1005 a=1 h=~", "103 1004 ~=2", "104 4000001000 c=~"}));
    ASSERT_EQ(made.kept.size(), 2u);
    EXPECT_EQ(made.kept[0].base, Offset(102));
    EXPECT_EQ(made.kept[0].next, Offset(104));
    EXPECT_EQ(made.kept[1].base, Offset(107));
    EXPECT_EQ(made.kept[1].next, Offset(108));
    patch_for_produce(made.bytes, kLog);
  }
}

TEST(Reencode, LogAppendTimeBecomesTheTimeOfEachRecord) {
  auto batch = batch_of({{0, 0, "k", "v", {}}, {1, 77, "k", "v", {}}});
  EXPECT_FALSE(must_reencode(BatchView::parse(batch), kFirst, kEnd));
  set_attribute(batch, 0x08);
  const auto view = BatchView::parse(batch, false);
  ASSERT_TRUE(must_reencode(view, kFirst, kEnd));
  const auto made = Reencoder().run(view, kLog, kFirst, kEnd).value();
  EXPECT_FALSE(BatchView::parse(made.bytes).is_log_append_time());
  EXPECT_EQ(read_all(made.bytes), read_all(batch));
}

TEST(Reencode, ADeleteHorizonMovesNoTime) {
  // Compaction writes the horizon where the first record's time was; deltas count from there.
  auto batch = batch_of({{1, -900, "a", "1", {}}, {2, -800, "b", std::nullopt, {}}});
  set_attribute(batch, 0x40);
  const auto made = Reencoder().run(BatchView::parse(batch, false), kLog, kFirst, kEnd).value();
  EXPECT_EQ(BatchView::parse(made.bytes).attributes(), 0);
  EXPECT_EQ(read_all(made.bytes), (std::vector<std::string>{"101 100 a=1", "102 200 b=~"}));
}

TEST(Reencode, OnlyTheWantedPartIsKept) {
  const auto batch =
      batch_of({{0, 1, "a", "", {}}, {1, 2, "b", "", {}}, {2, 3, "c", "", {}}}, Compression::zstd);
  const auto view = BatchView::parse(batch);
  EXPECT_FALSE(must_reencode(view, Offset(100), Offset(103)));
  EXPECT_TRUE(must_reencode(view, Offset(101), Offset(103)));
  EXPECT_TRUE(must_reencode(view, Offset(100), Offset(102)));
  const auto made = Reencoder().run(view, kLog, Offset(101), Offset(102)).value();
  EXPECT_EQ(read_all(made.bytes), std::vector<std::string>{"101 1002 b="});
  EXPECT_FALSE(Reencoder().run(view, kLog, Offset(103), kEnd));
}

}  // namespace
}  // namespace lifeboat::kafka
