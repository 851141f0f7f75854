#include "kafka/range_facts.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/random.hpp"
#include "kafka/transaction_scan.hpp"

namespace lifeboat::kafka {
namespace {

enum class Kind { plain, data, commit, abort };

template <typename T>
void be(std::string& out, T value) {
  value = to_big_endian(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A batch of `count` offsets; its records are not looked into but for a marker's.
std::string batch(Offset base, int count, std::int64_t producer, Kind kind, std::int32_t epoch) {
  std::string body;
  const bool control = kind == Kind::commit || kind == Kind::abort;
  be<std::int16_t>(
      body, static_cast<std::int16_t>((kind == Kind::plain ? 0 : 0x10) | (control ? 0x20 : 0)));
  be<std::int32_t>(body, count - 1);
  be<std::int64_t>(body, 1000);
  be<std::int64_t>(body, 1000);
  be<std::int64_t>(body, producer);
  be<std::int16_t>(body, 0);
  be<std::int32_t>(body, 0);
  be<std::int32_t>(body, count);
  // length 16, no attributes, time 0, offset 0, a key of 4 bytes: version 0 and the type
  if (control) {
    body += std::string("\x20\x00\x00\x00\x08\x00\x00\x00", 8);
    body += kind == Kind::commit ? '\x01' : '\x00';
    body += std::string("\x0c\x00\x00\x00\x00\x00\x00\x00", 8);
  }
  std::string out;
  be<std::int64_t>(out, base.value);
  be<std::int32_t>(out, static_cast<std::int32_t>(body.size() + 9));
  be<std::int32_t>(out, epoch);
  out += '\x02';
  be<std::uint32_t>(out, crc32c(body));
  return out + body;
}

struct Made {
  Offset base, next;
  std::string bytes;
};

// Producers come and go with transactions that interleave, some of them empty; the epoch grows.
std::vector<Made> random_log(Random& random) {
  std::vector<Made> log;
  Offset next(static_cast<std::int64_t>(random.below(5)));
  std::int32_t epoch = 0;
  for (int i = 0; i < 40; ++i) {
    if (random.below(10) == 0) ++epoch;
    auto kind = static_cast<Kind>(random.below(4));
    int count =
        kind == Kind::plain || kind == Kind::data ? 1 + static_cast<int>(random.below(4)) : 1;
    auto producer = static_cast<std::int64_t>(random.below(3));
    log.push_back({next, next + count, batch(next, count, producer, kind, epoch)});
    next = next + count;
    if (random.below(8) == 0) next = next + 3;  // compacted away
  }
  return log;
}

std::vector<BatchView> views(const std::vector<Made>& log, std::size_t from, std::size_t to) {
  std::vector<BatchView> out;
  for (std::size_t i = from; i < to; ++i) out.push_back(BatchView::parse(log[i].bytes));
  return out;
}

TEST(RangeFacts, OfPiecesAddUpToThoseOfTheWhole) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto log = random_log(random);
    RangeFacts sum;
    for (std::size_t at = 0; at < log.size();) {
      const auto end = std::min(log.size(), at + 1 + random.below(12));
      auto piece = facts_of(views(log, at, end));
      sum = at == 0 ? piece : add_up(std::move(sum), log[at].base, piece);
      at = end;
    }
    EXPECT_EQ(sum, facts_of(views(log, 0, log.size())));
  }
}

// Ranges of several archivers overlap and begin anywhere: whoever adds them up learns what one who
// reads all batches learns.
TEST(RangeFacts, OfOverlappingRangesTellWhatAScanTells) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto log = random_log(random);
    TransactionScan scan;
    for (const auto& one : views(log, 0, log.size())) scan.add(one);

    TransactionSum sum;
    for (std::size_t from = 0, reached = 0; reached < log.size();) {
      auto to = std::min(log.size(), from + 1 + random.below(12));
      sum.add(log[from].base, log[to - 1].next, facts_of(views(log, from, to)));
      reached = std::max(reached, to);
      from = std::min(from + random.below(to - from + 1), reached);
    }
    const ReplayFilter by_scan(scan.finish()), by_facts(sum.never_committed());
    for (const auto& one : views(log, 0, log.size())) {
      EXPECT_EQ(by_facts.decide(one), by_scan.decide(one)) << one.base_offset().value;
    }
  }
}

TEST(RangeFacts, AMarkerEndsWhatBeganInAnEarlierRange) {
  const std::string data = batch(Offset(0), 5, 7, Kind::data, 3);
  const std::string more = batch(Offset(5), 5, 7, Kind::data, 4);
  const std::string marker = batch(Offset(10), 1, 7, Kind::abort, 4);
  auto of = [](const std::string& bytes) { return facts_of({BatchView::parse(bytes)}); };

  auto sum = add_up(of(data), Offset(5), of(more));
  EXPECT_EQ(sum.epochs,
            (std::vector<EpochStart>{{LeaderEpoch(3), Offset(0)}, {LeaderEpoch(4), Offset(5)}}));
  EXPECT_EQ(sum.open, (std::vector<OpenTransaction>{{7, Offset(0)}}));
  sum = add_up(sum, Offset(10), of(marker));
  EXPECT_TRUE(sum.open.empty());
  EXPECT_EQ(sum.aborted, (std::vector<AbortedTransaction>{{7, Offset(0), Offset(10)}}));
}

}  // namespace
}  // namespace lifeboat::kafka
