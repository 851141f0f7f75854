// Summaries and merges: whatever happens to the objects, a reader gets the same bytes.
#include <thread>

#include "store/crash_store.hpp"
#include "vault/logbook_keeper.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

using store::Crashed;
using store::CrashStore;

const std::vector<LogName> kLogs = {
    {"postgres/1/00000001"}, {"postgres/2/00000001"}, {"kafka/c/t/events/0"}};

KeeperOptions eager() {
  KeeperOptions options;
  options.merge.after = Millis(0);
  options.merge.to = ByteCount(8000);
  options.merge.least = 2;
  options.remove_after = Millis(0);
  options.summarize_objects = 3;
  options.summary_weight = 40;
  options.max_extent = ByteCount(2000);
  return options;
}

class CountingStore : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override {
    ++reads;
    return ForwardingStore::get_range(name, offset, length);
  }
  std::atomic<int> reads{0};
};

struct KeeperTest : VaultTest {
  std::map<LogName, std::int64_t> ends;

  // One incarnation's life: `objects` objects of up to three logs, some of it sent again.
  void write(Vault into, Random& chance, int objects) {
    LogbookOptions options;
    options.flush_interval = std::chrono::hours(1);
    LogbookWriter writer(into, options, clock, chance);
    for (int i = 0; i < objects; ++i) {
      for (const auto& log : kLogs) {
        if (chance.below(4) == 0) continue;
        auto& end = ends[log];
        auto from = end;
        if (chance.below(6) == 0) from -= std::min<std::int64_t>(from, 300);
        end += 1 + static_cast<std::int64_t>(chance.below(200));
        writer.append(extent(log.value, from, end), wal(from, end), cancel);
      }
      writer.flush(cancel);
      clock.advance(Millis(1000));
    }
    writer.close(cancel);
  }
  void write(int objects) { write(vault, random, objects); }

  void start_again() {
    for (const auto& object : objects_of(store)) store.remove(object.name);
    vault = make_vault(GetParam(), store, clock, random);
    ends.clear();
  }

  void expect_all(const Logbook& book) {
    for (const auto& [log, end] : ends) {
      EXPECT_EQ(book.next(log), Position(end));
      EXPECT_EQ(book.read_bytes(log, Position(0), Position(end)), wal(0, end)) << log.value;
      EXPECT_TRUE(book.coverage(log).holes.empty());
    }
  }
  void expect_all() {
    auto book = Logbook::load(vault);
    for (const auto& damage : book.damaged()) ADD_FAILURE() << damage.error.what();
    expect_all(book);
  }
  void expect_good() {
    auto report = verify_all();
    for (const auto& damage : report.damages) ADD_FAILURE() << damage.object << damage.problem;
  }
  Kept keep(KeeperOptions options = eager()) {
    clock.advance(Millis(1000));
    return LogbookKeeper(vault, options, {}, clock, random).keep({}, cancel);
  }
  std::size_t count(const std::string& prefix) { return objects_of(store, prefix).size(); }
};

TEST_P(KeeperTest, MergesIntoFewObjectsThatHoldTheSame) {
  write(40);
  auto first = keep();
  EXPECT_EQ(first.merged, 40u);
  EXPECT_EQ(first.removed, 40u);
  EXPECT_TRUE(first.problems.empty());
  EXPECT_LE(count("logbook/"), 6u);
  expect_all();
  expect_good();
  auto extents = Logbook::load(vault).extents(kLogs[0]);
  EXPECT_LT(extents.size(), 20u);  // forty were put together
}

TEST_P(KeeperTest, YoungObjectsAndThoseOfLivingWritersAreLeftAlone) {
  write(10);
  auto options = eager();
  options.merge.after = Millis(3'600'000);
  EXPECT_EQ(keep(options).merged, 0u);
  clock.advance(Millis(3'600'000));
  EXPECT_EQ(keep(options).merged, 10u);
}

TEST_P(KeeperTest, WhatWasReplacedStaysForAWhile) {
  write(10);
  auto options = eager();
  options.remove_after = Millis(60'000);
  LogbookKeeper keeper(vault, options, {}, clock, random);
  EXPECT_EQ(keeper.keep({}, cancel).removed, 0u);
  EXPECT_GE(count("logbook/"), 11u);
  expect_all();
  expect_good();
  clock.advance(Millis(60'001));
  EXPECT_EQ(keeper.keep({}, cancel).removed, 10u);
  expect_all();
}

TEST_P(KeeperTest, AReaderOfOldGoesOn) {
  write(30);
  auto old = Logbook::load(vault);
  expect_all(old);
  auto again = Logbook::load(vault);
  std::string bytes;
  again.read(kLogs[0], Position(0), Position(ends[kLogs[0]]), [&](const ExtentView& view) {
    if (bytes.empty()) keep();  // in the middle of reading
    bytes += view.bytes.substr(static_cast<std::size_t>(view.wanted_from - view.base),
                               static_cast<std::size_t>(view.wanted_to - view.wanted_from));
  });
  EXPECT_EQ(bytes, wal(0, ends[kLogs[0]]));
  expect_all(old);
}

TEST_P(KeeperTest, GapsAreKeptOnce) {
  write(5);
  LogbookWriter writer(vault, {}, clock, random);
  auto end = ends[kLogs[0]];
  writer.gap({kLogs[0], Position(end), Position(end + 50), "retention"});
  writer.append(extent(kLogs[0].value, end + 50, end + 60), wal(end + 50, end + 60), cancel);
  writer.close(cancel);
  keep();
  keep();
  auto book = Logbook::load(vault);
  ASSERT_EQ(book.gaps(kLogs[0]).size(), 1u);
  auto holes = book.coverage(kLogs[0]).holes;
  ASSERT_EQ(holes.size(), 1u);
  EXPECT_EQ(holes[0].range, (Range{Position(end), Position(end + 50)}));
  EXPECT_TRUE(holes[0].recorded);
  EXPECT_EQ(book.next(kLogs[0]), Position(end + 60));
}

TEST_P(KeeperTest, ASummarySparesTheFooters) {
  auto options = eager();
  options.merge.least = 1000;
  options.merge.to = ByteCount(1 << 30);
  write(50);
  EXPECT_GE(keep(options).summaries, 3u);  // of about 40 extents each
  CountingStore counting(store);
  auto book = Logbook::load(open(counting));
  auto summaries = book.logs();
  EXPECT_EQ(counting.reads, 0);
  auto plain = [&] {
    for (const auto& object : objects_of(store, "index/")) store.remove(object.name);
    return Logbook::load(vault);
  };
  expect_all(book);
  auto after = book.logs();
  auto by_footers = plain().logs();
  ASSERT_EQ(summaries.size(), by_footers.size());
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    for (const auto& one : {summaries[i], after[i]}) {
      EXPECT_EQ(one.first, by_footers[i].first);
      EXPECT_EQ(one.next, by_footers[i].next);
      EXPECT_EQ(one.bytes, by_footers[i].bytes);
      EXPECT_EQ(one.objects, by_footers[i].objects);
      EXPECT_EQ(one.gaps, by_footers[i].gaps);
      EXPECT_EQ(one.min_time, by_footers[i].min_time);
      EXPECT_EQ(one.max_time, by_footers[i].max_time);
    }
  }
}

TEST_P(KeeperTest, ADamagedSummaryIsNamedAndTheFootersAreRead) {
  auto options = eager();
  options.merge.least = 1000;
  options.merge.to = ByteCount(1 << 30);
  write(20);
  keep(options);
  for (const auto& object : objects_of(store, "index/")) {
    auto bytes = *store.get(object.name);
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      auto bad = bytes;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      store.put(object.name, bad);
      auto book = Logbook::load(vault);
      ASSERT_EQ(book.damaged().size(), 1u);
      EXPECT_EQ(book.damaged()[0].object, object.name);
      EXPECT_FALSE(book.lost());
      if (at % 70 == 0) expect_all(book);
    }
    // Damaged after it was opened: noticed when a log's extents are asked for.
    store.put(object.name, bytes);
    auto book = Logbook::load(vault);
    store.put(object.name, bytes.substr(0, bytes.size() / 2) + std::string(bytes.size() / 2, 'x'));
    expect_all(book);
    store.put(object.name, bytes);
  }
  EXPECT_FALSE(objects_of(store, "index/").empty());
}

TEST_P(KeeperTest, WhatIsReallyMissingIsStillNamed) {
  write(20);
  keep();
  std::vector<std::string> merged;
  for (const auto& object : objects_of(store, "logbook/")) merged.push_back(object.name);
  write(2);
  for (const auto& name : merged) {
    auto bytes = *store.get(name);
    store.remove(name);
    auto book = Logbook::load(vault);
    bool holes = false;
    for (const auto& log : kLogs) holes = holes || !book.coverage(log).holes.empty();
    EXPECT_TRUE(holes || !book.damaged().empty()) << name;
    store.put(name, bytes);
  }
  expect_all();
}

TEST_P(KeeperTest, AnObjectThatASummaryTellsOfIsMissed) {
  auto options = eager();
  options.merge.least = 1000;
  options.merge.to = ByteCount(1 << 30);
  write(20);
  keep(options);
  auto last = objects_of(store, "logbook/").back().name;  // no number is jumped over
  store.remove(last);
  auto book = Logbook::load(vault);
  ASSERT_EQ(book.damaged().size(), 1u);
  EXPECT_EQ(book.damaged()[0].object, last);
  EXPECT_FALSE(verify_all().good());
}

TEST_P(KeeperTest, ADamagedObjectIsNeitherMergedNorReplaced) {
  write(20);
  auto victim = objects_of(store, "logbook/")[5].name;
  auto bytes = *store.get(victim);
  bytes[30] = static_cast<char>(bytes[30] ^ 1);
  store.put(victim, bytes);
  LogbookKeeper keeper(vault, eager(), {}, clock, random);
  auto kept = keeper.keep({}, cancel);
  EXPECT_EQ(kept.problems.size(), 1u);
  keeper.keep({}, cancel);  // the others
  EXPECT_TRUE(store.stat(victim));
  EXPECT_FALSE(verify_all().good());
  bytes[30] = static_cast<char>(bytes[30] ^ 1);
  store.put(victim, bytes);
  expect_all();
}

// A keeper dies at each write of its rounds; the write happened or did not.
TEST_P(KeeperTest, DiesAtEachWriteAndNothingIsLost) {
  for (auto last : {CrashStore::LastWrite::happens, CrashStore::LastWrite::does_not}) {
    for (std::uint64_t n = 1;; ++n) {
      SCOPED_TRACE(n);
      start_again();
      write(12);
      keep();
      write(9);
      CrashStore crash(store, n, last);
      bool died = false;
      try {
        LogbookKeeper keeper(open(crash), eager(), {}, clock, random);
        for (int i = 0; i < 3; ++i) {
          clock.advance(Millis(1000));
          keeper.keep({}, cancel);
        }
      } catch (const Crashed&) {
        died = true;
      }
      expect_all();
      expect_good();
      keep();
      keep();
      expect_all();
      expect_good();
      if (!died) break;
      ASSERT_LT(n, 500u);
    }
  }
}

// Writers, keepers and readers in random order; readers that never look again among them.
TEST_P(KeeperTest, TheBytesAreTheSameBeforeDuringAndAfter) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE(seed);
    Random chance(seed);
    start_again();
    std::vector<std::pair<Logbook, std::map<LogName, std::int64_t>>> readers;
    std::vector<LogbookKeeper> keepers;
    for (int i = 0; i < 2; ++i) {
      auto options = eager();
      options.merge.to = ByteCount(2000 + chance.below(30'000));
      options.remove_after = Millis(static_cast<std::int64_t>(chance.below(2) * 20'000));
      keepers.emplace_back(vault, options, LogPolicy{}, clock, chance);
    }
    for (int step = 0; step < 25; ++step) {
      clock.advance(Millis(500));
      switch (chance.below(4)) {
        case 0:
          write(vault, chance, 1 + static_cast<int>(chance.below(10)));
          break;
        case 1:
          readers.emplace_back(Logbook::load(vault), ends);
          break;
        default:
          keepers[chance.below(2)].keep({}, cancel);
      }
      if (readers.empty()) continue;
      auto& [book, known] = readers[chance.below(readers.size())];
      for (const auto& [log, end] : known) {
        auto from = static_cast<std::int64_t>(chance.below(static_cast<std::uint64_t>(end) + 1));
        EXPECT_EQ(book.read_bytes(log, Position(from), Position(end)), wal(from, end));
      }
    }
    expect_all();
    expect_good();
  }
}

TEST_P(KeeperTest, SeveralAtTheSameTimeDoNoHarm) {
  write(60);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      Random chance(i);
      LogbookKeeper keeper(vault, eager(), {}, clock, chance);
      for (int round = 0; round < 5; ++round) keeper.keep({}, cancel);
    });
  }
  std::thread reader([&] {
    while (!stop) expect_all(Logbook::load(vault));
  });
  for (auto& thread : threads) thread.join();
  stop = true;
  reader.join();
  expect_all();
  expect_good();
}

TEST_P(KeeperTest, AHistoryWithoutSummariesIsCaughtUpWith) {
  write(30);
  LogbookKeeper keeper(vault, eager(), {}, clock, random);
  EXPECT_GT(keeper.catch_up(cancel), 0u);
  EXPECT_EQ(keeper.catch_up(cancel), 0u);
  CountingStore counting(store);
  Logbook::load(open(counting));
  EXPECT_EQ(counting.reads, 0);
  expect_all();
}

ObjectEntry entry(const char* incarnation, std::uint64_t sequence, std::int64_t created,
                  std::uint64_t size) {
  return {{incarnation, sequence}, Timestamp(created), ByteCount(size), 1, {}};
}

TEST(MergePlan, TakesOldSmallObjectsOfTheSameSize) {
  MergeRule rule;
  rule.after = Millis(100);
  rule.to = ByteCount(6400);
  rule.least = 3;
  std::vector<ObjectEntry> objects;
  for (std::uint64_t i = 0; i < 4; ++i) {
    objects.push_back(entry("dead", i, 10, 50));        // small
    objects.push_back(entry("dead", 9 + i, 10, 3500));  // large enough
    objects.push_back(entry("alive", i, 10, 60));
  }
  objects.push_back(entry("dead", 20, 10, 700));  // of another class, and alone there
  objects.push_back(entry("alive", 4, 990, 60));
  auto names = [&](const std::set<std::string>& own) {
    std::string out;
    for (const auto& run : plan_merges(objects, own, Timestamp(1000), rule)) {
      for (const auto& object : run) {
        out += object.name.incarnation + std::to_string(object.name.sequence) + " ";
      }
      out += "| ";
    }
    return out;
  };
  EXPECT_EQ(names({}), "dead0 dead1 dead2 dead3 | ");
  EXPECT_EQ(names({"alive"}), "alive0 alive1 alive2 alive3 dead0 dead1 dead2 dead3 | ");
  rule.least = 5;
  EXPECT_EQ(names({}), "");
  rule.most = 2;
  EXPECT_EQ(names({}), "dead0 dead1 | dead2 dead3 | ");
}

// Bytes that pass the checksum and are not what a Lifeboat wrote give an error, never more.
TEST(SummaryFormat, HostileBytesAreRefused) {
  SummaryBuilder builder;
  Footer footer;
  footer.created = Timestamp(5);
  footer.extents.push_back(
      {extent("kafka/c/t/x/0", 0, 10), ByteCount(24), ByteCount(7), ByteCount(7), Codec::none, 1});
  footer.gaps.push_back({{"kafka/c/t/x/0"}, Position(10), Position(12), "gone"});
  footer.replaced.add("a", 3, 9);
  builder.add({"b", 0}, ByteCount(200), footer);
  auto name = summary_name("k", 0);
  auto object = builder.finish(nullptr, name, Timestamp(7));
  auto summary = open_summary(nullptr, name, object);
  ASSERT_EQ(summary.objects.size(), 1u);
  EXPECT_TRUE(summary.objects[0].replaces.has("a", 8));
  EXPECT_EQ(summary.logs.at(0).gaps.at(0).why, "gone");
  auto& log = summary.logs[0];
  auto extents = open_summarized(nullptr, name, summary, log,
                                 object.substr(log.offset.value, log.stored.value));
  EXPECT_EQ(extents.at(0).stored.extent.next, Position(10));

  auto payload = std::string(unframe(ObjectType::summary, name, object).payload);
  Random chance(3);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    auto bad = payload;
    for (auto n = 1 + chance.below(3); n > 0; --n) {
      bad[chance.below(bad.size())] = static_cast<char>(chance.next());
    }
    if (chance.below(4) == 0) bad.resize(chance.below(bad.size()));
    try {
      auto read = open_summary(nullptr, name, frame(ObjectType::summary, name, bad));
      for (const auto& one : read.logs) {
        auto whole = frame(ObjectType::summary, name, bad);
        if (one.offset.value > whole.size()) continue;
        open_summarized(nullptr, name, read, one, whole.substr(one.offset.value, one.stored.value));
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::corrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

LIFEBOAT_ON_BOTH_KINDS(KeeperTest);

}  // namespace
}  // namespace lifeboat::vault
