#include "vault/logbook.hpp"

#include <atomic>
#include <thread>

#include "base/checksum.hpp"
#include "store/full_store.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

const std::string kWal = "postgres/7301/00000001";
const std::string kTopic = "kafka/abc/def/events/0";

struct LogbookTest : VaultTest {
  // Flushes only when asked to.
  LogbookOptions manual() {
    LogbookOptions options;
    options.flush_interval = std::chrono::hours(1);
    options.backoff_first = Millis(1);
    options.backoff_most = Millis(5);
    return options;
  }
  std::unique_ptr<LogbookWriter> writer() {
    return std::make_unique<LogbookWriter>(vault, manual(), clock, random);
  }
  void append_wal(LogbookWriter& writer, std::int64_t from, std::int64_t to) {
    writer.append(extent(kWal, from, to), wal(from, to), cancel);
  }
  // "[from,to) from [base,next)" for each visit.
  std::vector<std::string> visits(const Logbook& book, const std::string& log, std::int64_t from,
                                  std::int64_t to, Holes holes = Holes::refuse) {
    std::vector<std::string> out;
    book.read(
        {log}, Position(from), Position(to),
        [&](const ExtentView& view) {
          EXPECT_TRUE(view.extent.log.value.starts_with(log));
          out.push_back(fmt::format("[{},{}) from [{},{})", view.wanted_from, view.wanted_to,
                                    view.base, view.next));
        },
        holes);
    return out;
  }
};

using Strings = std::vector<std::string>;

// Bytes as the source holds them, and a way to see whether anybody still does.
struct SourceBuffer {
  std::shared_ptr<const std::string> bytes;
  explicit SourceBuffer(std::string b) : bytes(std::make_shared<const std::string>(std::move(b))) {}
  ExtentBytes part(std::size_t from, std::size_t size, bool with_crc = true) const {
    auto view = std::string_view(*bytes).substr(from, size);
    return {view, bytes, with_crc ? std::optional(crc32c(view)) : std::nullopt};
  }
  bool held() const { return bytes.use_count() > 1; }
};

const std::string kAnew = kTopic + "/epoch-7";
const std::string kAgain = kTopic + "/epoch-9";

TEST_P(LogbookTest, AHistoryGoesOnInOtherLogs) {
  auto out = writer();
  const auto add = [&](const std::string& log, std::int64_t from, std::int64_t to) {
    out->append(extent(log, from, to), log.substr(log.size() - 1) + ":" + std::to_string(from),
                cancel);
    out->flush(cancel);
  };
  add(kTopic, 0, 100);
  add(kTopic, 100, 200);
  out->gap({{kTopic}, Position(200), Position(230), "retention"});
  add(kAnew, 150, 180);
  add(kAnew, 190, 300);
  out->gap({{kAgain}, Position(310), Position(320), "retention"});
  add(kAgain, 320, 400);
  auto book = Logbook::load(vault);
  book.follow({kTopic}, {{Position(150), {kAnew}}, {Position(310), {kAgain}}}, "cut");

  EXPECT_EQ(visits(book, kTopic, 0, 1000, Holes::skip),
            (Strings{"[0,100) from [0,100)", "[100,150) from [100,200)", "[150,180) from [150,180)",
                     "[190,300) from [190,300)", "[320,400) from [320,400)"}));
  EXPECT_EQ(visits(book, kTopic, 120, 170),
            (Strings{"[120,150) from [100,200)", "[150,170) from [150,180)"}));
  EXPECT_EQ(visits(book, kAnew, 150, 180), Strings{"[150,180) from [150,180)"}) << "itself";
  EXPECT_EQ(book.next({kTopic}), Position(400));
  std::vector<std::string> told;
  for (const auto& one : book.extents({kTopic})) {
    told.push_back(fmt::format("[{},{}) {}", one.base, one.next, one.attributes_json));
  }
  EXPECT_EQ(told, (Strings{"[0,100) ", "[100,150) cut", "[150,180) ", "[190,300) ", "[320,400) "}));
  const auto coverage = book.coverage({kTopic});
  EXPECT_EQ(coverage.ranges, (std::vector<Range>{{Position(0), Position(180)},
                                                 {Position(190), Position(300)},
                                                 {Position(320), Position(400)}}));
  ASSERT_EQ(coverage.holes.size(), 3u);
  EXPECT_FALSE(coverage.holes[0].recorded);
  EXPECT_EQ(coverage.holes[1].range, (Range{Position(300), Position(310)}));
  EXPECT_EQ(coverage.holes[2].why, "retention");
  ASSERT_EQ(book.gaps({kTopic}).size(), 1u) << "the one at 200 is of the history that was lost";
  for (const auto& log : book.logs()) {
    if (log.log.value != kTopic) continue;
    EXPECT_EQ(log.first, Position(0));
    EXPECT_EQ(log.next, Position(400));
    EXPECT_EQ(log.gaps, 3u);
  }
  EXPECT_THROW(book.read({kTopic}, Position(250), Position(320), [](const ExtentView&) {}), Error);
}

TEST_P(LogbookTest, LargePiecesAreHeldUntilTheyAreDurableAndSmallOnesCopied) {
  auto out = writer();
  constexpr std::size_t kLarge = 100'000;
  SourceBuffer large(noise(2 * kLarge, 1));
  SourceBuffer small(noise(2'000, 2));
  out->append(extent(kTopic, 0, 1), large.part(0, kLarge), cancel);
  out->append(extent(kTopic, 1, 2), small.part(0, 1'000), cancel);
  out->append(extent(kTopic, 2, 3), small.part(1'000, 1'000), cancel);
  out->append(extent(kTopic, 3, 4), large.part(kLarge, kLarge, false), cancel);
  EXPECT_TRUE(large.held());
  EXPECT_FALSE(small.held());
  EXPECT_LT(out->status().buffered.value, 3 * kLarge) << "the buffer counts once";
  out->flush(cancel);
  EXPECT_FALSE(large.held());
  std::string stored;
  Logbook::load(vault).read({kTopic}, Position(0), Position(4),
                            [&](const ExtentView& view) { stored += view.bytes; });
  EXPECT_EQ(stored, large.bytes->substr(0, kLarge) + *small.bytes + large.bytes->substr(kLarge));
}

TEST_P(LogbookTest, ABufferOfWhichLittleIsTakenCountsAsAWhole) {
  LogbookOptions options = manual();
  options.max_buffered = ByteCount(1'000'000);
  LogbookWriter out(vault, options, clock, random);
  for (int i = 0; i < 10; ++i) {
    SourceBuffer source(noise(400'000, 3));
    out.append(extent(kTopic, i, i + 1), source.part(0, 70'000), cancel);
    EXPECT_LE(out.status().buffered.value, 1'000'000u);
  }
  out.close(cancel);
  EXPECT_GE(out.status().objects, 5u) << "flushed when so many are held";
}

TEST_P(LogbookTest, ABufferThatIsAppendedAgainAndAgainIsBoundedByItsBytes) {
  LogbookOptions options = manual();
  options.max_buffered = ByteCount(1'000'000);
  LogbookWriter out(vault, options, clock, random);
  SourceBuffer source(noise(400'000, 3));
  for (int i = 0; i < 10; ++i) {
    out.append(extent(kTopic, i, i + 1), source.part(0, 400'000), cancel);
  }
  out.close(cancel);
  EXPECT_GE(out.status().objects, 5u) << "flushed when so much waits";
}

TEST_P(LogbookTest, RoundTripOfSeveralLogs) {
  auto out = writer();
  std::vector<Extent> durable;
  out->on_durable([&](const std::vector<Extent>& extents) {
    durable.insert(durable.end(), extents.begin(), extents.end());
  });
  append_wal(*out, 100, 150);
  Extent kafka = extent(kTopic, 0, 10, 5000);
  kafka.attributes_json = R"({"leader_epoch":3})";
  out->append(kafka, "ten records", cancel);
  append_wal(*out, 150, 400);
  EXPECT_TRUE(durable.empty());
  out->flush(cancel);
  ASSERT_EQ(durable.size(), 2u);  // the WAL's two were merged
  EXPECT_EQ(durable[0].base, Position(100));
  EXPECT_EQ(durable[0].next, Position(400));
  append_wal(*out, 400, 401);
  out->close(cancel);
  EXPECT_EQ(durable.size(), 3u);
  EXPECT_THROW(append_wal(*out, 401, 402), Error);

  auto book = Logbook::load(vault);
  EXPECT_TRUE(book.damaged().empty());
  EXPECT_EQ(objects_of(store, "logbook/").size(), 2u);
  auto logs = book.logs();
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_EQ(logs[0].log.value, kTopic);
  EXPECT_EQ(logs[0].min_time, Timestamp(5000));
  EXPECT_EQ(logs[0].max_time, Timestamp(5001));
  EXPECT_EQ(logs[1].first, Position(100));
  EXPECT_EQ(logs[1].next, Position(401));
  EXPECT_EQ(logs[1].bytes.value, 301u);
  EXPECT_EQ(logs[1].objects, 2u);
  EXPECT_EQ(logs[1].gaps, 0u);
  EXPECT_EQ(book.next({kWal}), Position(401));
  EXPECT_EQ(book.next({"none"}), std::nullopt);
  EXPECT_EQ(book.read_bytes({kWal}, Position(100), Position(401)), wal(100, 401));
  EXPECT_EQ(book.read_bytes({kWal}, Position(399), Position(401)), wal(399, 401));
  EXPECT_EQ(book.read_bytes({kWal}, Position(200), Position(200)), "");
  EXPECT_EQ(book.extents({kTopic})[0].attributes_json, R"({"leader_epoch":3})");
  book.read({kTopic}, Position(3), Position(5), [&](const ExtentView& view) {
    EXPECT_EQ(view.bytes, "ten records");  // whole, whatever is wanted of it
    EXPECT_EQ(view.wanted_from, Position(3));
    EXPECT_EQ(view.wanted_to, Position(5));
  });
  EXPECT_THROW(book.read_bytes({kTopic}, Position(0), Position(5)), Error);  // not a log of bytes
}

TEST_P(LogbookTest, RefreshTakesInWhatCame) {
  auto book = Logbook::load(vault);
  EXPECT_EQ(book.refresh(), 0u);
  auto out = writer();
  append_wal(*out, 0, 10);
  out->flush(cancel);
  EXPECT_EQ(book.refresh(), 1u);
  append_wal(*out, 10, 30);
  out->flush(cancel);
  EXPECT_EQ(book.refresh(), 1u);
  EXPECT_EQ(book.refresh(), 0u);
  EXPECT_EQ(book.read_bytes({kWal}, Position(0), Position(30)), wal(0, 30));
}

TEST_P(LogbookTest, WhatIsMergedAndWhatIsNot) {
  auto options = manual();
  options.max_extent = ByteCount(100);
  LogbookWriter out(vault, options, clock, random);
  std::vector<Extent> durable;
  out.on_durable([&](const std::vector<Extent>& extents) { durable = extents; });
  append_wal(out, 0, 60);
  append_wal(out, 60, 100);   // merged: 100 bytes
  append_wal(out, 100, 110);  // above max_extent
  append_wal(out, 120, 130);  // not contiguous
  Extent other = extent(kWal, 130, 140);
  other.attributes_json = "{}";
  out.append(other, wal(130, 140), cancel);  // other attributes
  out.flush(cancel);
  ASSERT_EQ(durable.size(), 4u);
  EXPECT_EQ(durable[0].next, Position(100));
}

TEST_P(LogbookTest, CompressesWhereItHelps) {
  auto out = writer();
  out->append(extent(kWal, 0, 1'000'000), std::string(1'000'000, 'w'), cancel);
  out->flush(cancel);
  EXPECT_LT(objects_of(store, "logbook/")[0].size.value, 10'000u);
  out->append(extent(kTopic, 0, 10), noise(1'000'000, 5), cancel);
  out->flush(cancel);
  EXPECT_LT(objects_of(store, "logbook/")[1].size.value, 1'000'500u);
  auto book = Logbook::load(vault);
  EXPECT_EQ(book.read_bytes({kWal}, Position(0), Position(1'000'000)), std::string(1'000'000, 'w'));
  book.read({kTopic}, Position(0), Position(10),
            [](const ExtentView& view) { EXPECT_EQ(view.bytes, noise(1'000'000, 5)); });
}

TEST_P(LogbookTest, OverlapsOfTwoWritersGiveEachPositionOnce) {
  auto one = writer(), two = writer();
  append_wal(*one, 0, 100);
  append_wal(*two, 50, 120);
  append_wal(*two, 10, 40);
  one->close(cancel);
  two->close(cancel);
  append_wal(*writer(), 0, 1);  // abandoned: never there
  auto book = Logbook::load(vault);
  EXPECT_EQ(visits(book, kWal, 0, 120),
            (Strings{"[0,100) from [0,100)", "[100,120) from [50,120)"}));
  EXPECT_EQ(visits(book, kWal, 60, 70), (Strings{"[60,70) from [50,120)"}));
  EXPECT_EQ(book.read_bytes({kWal}, Position(0), Position(120)), wal(0, 120));
  EXPECT_EQ(book.logs()[0].gaps, 0u);
}

TEST_P(LogbookTest, RandomOverlapsGiveEachPositionOnce) {
  std::vector<bool> held(500);
  for (int i = 0; i < 60; ++i) {
    auto out = writer();
    auto from = static_cast<std::int64_t>(random.below(480));
    auto to = from + 1 + static_cast<std::int64_t>(random.below(19));
    append_wal(*out, from, to);
    out->close(cancel);
    for (auto p = from; p < to; ++p) held[static_cast<std::size_t>(p)] = true;
  }
  auto book = Logbook::load(vault);
  std::vector<bool> seen(500);
  Position last(0);
  book.read(
      {kWal}, Position(0), Position(500),
      [&](const ExtentView& view) {
        EXPECT_LE(last, view.wanted_from);
        EXPECT_LT(view.wanted_from, view.wanted_to);
        EXPECT_LE(view.base, view.wanted_from);
        EXPECT_LE(view.wanted_to, view.next);
        for (auto p = view.wanted_from; p < view.wanted_to; p = p + 1) {
          seen[static_cast<std::size_t>(p.value)] = true;
        }
        last = view.wanted_to;
      },
      Holes::skip);
  EXPECT_EQ(seen, held);
  std::vector<bool> covered(500);
  for (const auto& range : book.coverage({kWal}).ranges) {
    for (auto p = range.from; p < range.to; p = p + 1) {
      covered[static_cast<std::size_t>(p.value)] = true;
    }
  }
  EXPECT_EQ(covered, held);
}

TEST_P(LogbookTest, AMissingRangeIsNamed) {
  auto out = writer();
  append_wal(*out, 0, 10);
  append_wal(*out, 30, 40);
  out->close(cancel);
  auto book = Logbook::load(vault);
  auto error = error_of([&] { visits(book, kWal, 5, 35); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_EQ(error.subject(), kWal);
  EXPECT_NE(error.message().find("[10, 30)"), std::string::npos);
  EXPECT_NE(error_of([&] { visits(book, kWal, 35, 50); }).message().find("[40, 50)"),
            std::string::npos);
  EXPECT_EQ(error_of([&] { visits(book, "none", 0, 1); }).code(), Code::not_found);
  EXPECT_EQ(visits(book, kWal, 5, 50, Holes::skip),
            (Strings{"[5,10) from [0,10)", "[30,40) from [30,40)"}));
  EXPECT_EQ(visits(book, "none", 0, 1, Holes::skip), Strings{});
  auto coverage = book.coverage({kWal});
  EXPECT_EQ(coverage.ranges,
            (std::vector<Range>{{Position(0), Position(10)}, {Position(30), Position(40)}}));
  ASSERT_EQ(coverage.holes.size(), 1u);
  EXPECT_FALSE(coverage.holes[0].recorded);
}

TEST_P(LogbookTest, GapsAreRecordedWithTheirReason) {
  auto out = writer();
  append_wal(*out, 0, 10);
  out->gap({{kWal}, Position(10), Position(30), "retention passed us"});
  append_wal(*out, 30, 40);
  out->gap({{kWal}, Position(40), Position(90), "retention passed us again"});
  out->close(cancel);
  auto book = Logbook::load(vault);
  auto coverage = book.coverage({kWal});
  ASSERT_EQ(coverage.holes.size(), 2u);
  EXPECT_TRUE(coverage.holes[0].recorded);
  EXPECT_EQ(coverage.holes[0].range, (Range{Position(10), Position(30)}));
  EXPECT_EQ(coverage.holes[1].why, "retention passed us again");
  EXPECT_EQ(book.next({kWal}), Position(90));
  EXPECT_EQ(book.logs()[0].gaps, 2u);
  EXPECT_EQ(book.gaps({kWal}).size(), 2u);
  EXPECT_NE(error_of([&] { visits(book, kWal, 0, 40); }).message().find("retention passed us"),
            std::string::npos);
}

TEST_P(LogbookTest, ADamagedExtentIsReplacedByTheOtherWritersCopy) {
  auto one = writer(), two = writer();
  append_wal(*one, 0, 100'000);
  one->close(cancel);
  append_wal(*two, 0, 60'000);
  append_wal(*two, 60'000, 110'000);
  two->close(cancel);
  auto object = objects_of(store, "logbook/" + two->incarnation())[0].name;
  auto bytes = *store.get(object);
  bytes[100] ^= 1;  // within its extent, far from its footer
  store.put(object, bytes);
  auto book = Logbook::load(vault);
  EXPECT_TRUE(book.damaged().empty());
  EXPECT_EQ(book.read_bytes({kWal}, Position(0), Position(100'000)), wal(0, 100'000));
  auto error = error_of([&] { book.read_bytes({kWal}, Position(0), Position(100'001)); });
  EXPECT_EQ(error.code(), Code::corrupt);
  EXPECT_NE(error.subject().find(object), std::string::npos);
  EXPECT_NE(error.message().find("[0, 110000)"), std::string::npos);
}

TEST_P(LogbookTest, ADamagedFooterHidesItsObjectAloneAndIsNamed) {
  auto out = writer();
  for (int i = 0; i < 3; ++i) {
    append_wal(*out, i * 10, i * 10 + 10);
    out->flush(cancel);
  }
  auto name = objects_of(store, "logbook/")[1].name;
  auto bytes = *store.get(name);
  store.put(name, bytes.substr(0, bytes.size() - 1));
  auto book = Logbook::load(vault);
  ASSERT_EQ(book.damaged().size(), 1u);
  EXPECT_EQ(book.damaged()[0].object, name);
  EXPECT_EQ(book.read_bytes({kWal}, Position(20), Position(30)), wal(20, 30));
  auto error = error_of([&] { book.read_bytes({kWal}, Position(0), Position(30)); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_NE(error.message().find("[10, 20)"), std::string::npos);
  EXPECT_NE(error.message().find(name), std::string::npos);

  store.put(name, bytes);  // somebody brought it back from a replica
  EXPECT_EQ(book.refresh(), 1u);
  EXPECT_TRUE(book.damaged().empty());
  EXPECT_EQ(book.read_bytes({kWal}, Position(0), Position(30)), wal(0, 30));

  store.remove(name);
  auto again = Logbook::load(vault);
  ASSERT_EQ(again.damaged().size(), 1u);
  EXPECT_EQ(again.damaged()[0].object, name);
  EXPECT_EQ(again.damaged()[0].error.code(), Code::not_found);
}

TEST_P(LogbookTest, ANewerObjectIsRefusedByName) {
  auto out = writer();
  append_wal(*out, 0, 10);
  out->close(cancel);
  auto name = objects_of(store, "logbook/")[0].name;
  store.put(name, as_newer_version(name, *store.get(name)));
  auto error = error_of([&] { Logbook::load(vault); });
  EXPECT_EQ(error.code(), Code::unsupported);
  EXPECT_NE(std::string(error.what()).find("format 2; this one reads 1"), std::string::npos);
}

TEST_P(LogbookTest, BadInputIsRefused) {
  auto out = writer();
  EXPECT_THROW(append_wal(*out, 10, 10), Error);
  EXPECT_THROW(out->append(extent(kWal, 10, 9), "", cancel), Error);
  EXPECT_THROW(out->append(extent("", 0, 1), "x", cancel), Error);
  EXPECT_THROW(out->append(extent("with blank", 0, 1), "x", cancel), Error);
  EXPECT_THROW(out->append(extent(std::string(2000, 'x'), 0, 1), "x", cancel), Error);
  EXPECT_THROW(out->gap({{kWal}, Position(2), Position(2), ""}), Error);
  out->append(extent(kTopic, 0, 5), "", cancel);  // compacted away: no data, and it is covered
  out->close(cancel);
  EXPECT_EQ(visits(Logbook::load(vault), kTopic, 0, 5), (Strings{"[0,5) from [0,5)"}));
}

// Fails the writes as long as it is told to.
class FailingStore : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  store::PutResult put_if_absent(const std::string& name, std::string_view bytes) override {
    if (lose_answers > 0) {
      --lose_answers;
      inner().put_if_absent(name, bytes);
      throw Error(Code::timeout, name, "no answer");
    }
    if (failing) {
      ++failures;
      throw Error(Code::unavailable, name, "away");
    }
    return inner().put_if_absent(name, bytes);
  }
  std::atomic<bool> failing{false};
  std::atomic<int> failures{0};
  std::atomic<int> lose_answers{0};
};

struct FailingLogbookTest : LogbookTest {
  FailingStore failing{store};
  Vault there = open(failing);
};

TEST_P(FailingLogbookTest, WhatTheStoreRefusesIsKeptAndTheSourceIsHeldBack) {
  failing.failing = true;
  auto options = manual();
  options.max_buffered = ByteCount(10'000);
  LogbookWriter out(there, options, clock, random);
  std::atomic<std::int64_t> durable{0}, taken{0};
  out.on_durable([&](const std::vector<Extent>& e) { durable = e.back().next.value; });
  std::thread source([&] {
    for (int i = 0; i < 100; ++i) {
      append_wal(out, i * 1000, (i + 1) * 1000);
      taken = (i + 1) * 1000;
    }
  });
  while (failing.failures < 5) std::this_thread::yield();
  EXPECT_EQ(durable, 0);
  EXPECT_LE(taken, 10'000);
  EXPECT_LE(out.status().buffered.value, 10'000u);
  EXPECT_NE(out.status().failing.value().find("away"), std::string::npos);
  failing.failing = false;
  source.join();
  out.close(cancel);
  EXPECT_EQ(durable, 100'000);
  EXPECT_FALSE(out.status().failing);
  EXPECT_EQ(Logbook::load(vault).read_bytes({kWal}, Position(0), Position(100'000)),
            wal(0, 100'000));
}

TEST_P(FailingLogbookTest, ALostAnswerIsNotWrittenTwice) {
  failing.lose_answers = 2;
  LogbookWriter out(there, manual(), clock, random);
  append_wal(out, 0, 10);
  out.flush(cancel);
  append_wal(out, 10, 20);
  out.close(cancel);
  EXPECT_EQ(objects_of(store, "logbook/").size(), 2u);
  EXPECT_EQ(Logbook::load(vault).read_bytes({kWal}, Position(0), Position(20)), wal(0, 20));
}

TEST_P(FailingLogbookTest, StopIsHeardWhileWaiting) {
  failing.failing = true;
  auto options = manual();
  options.max_buffered = ByteCount(1000);
  LogbookWriter out(there, options, clock, random);
  append_wal(out, 0, 900);
  std::thread stopper([&] {
    while (failing.failures == 0) std::this_thread::yield();
    cancel.request();
  });
  EXPECT_EQ(error_of([&] { append_wal(out, 900, 1800); }).code(), Code::cancelled);
  stopper.join();
  EXPECT_EQ(error_of([&] { out.flush(cancel); }).code(), Code::cancelled);
  EXPECT_EQ(error_of([&] { out.close(cancel); }).code(), Code::cancelled);
  // The destructor ends although the store is still away.
}

TEST_P(LogbookTest, AFullDiskIsWaitedOut) {
  store::FullStore full(store, ByteCount(100));
  LogbookWriter out(open(full), manual(), clock, random);
  append_wal(out, 0, 5000);
  std::thread flusher([&] { out.flush(cancel); });
  while (!out.status().failing) std::this_thread::yield();
  EXPECT_TRUE(objects_of(store, "logbook/").empty());
  full.add_room(ByteCount(100'000));
  flusher.join();
  EXPECT_EQ(Logbook::load(vault).read_bytes({kWal}, Position(0), Position(5000)), wal(0, 5000));
}

TEST_P(LogbookTest, ACallbackThatThrowsFailsTheWriter) {
  auto out = writer();
  out->on_durable([](const std::vector<Extent>&) { throw std::runtime_error("callback"); });
  append_wal(*out, 0, 10);
  EXPECT_THROW(out->flush(cancel), std::runtime_error);
  EXPECT_THROW(append_wal(*out, 10, 20), std::runtime_error);
  EXPECT_THROW(out->close(cancel), std::runtime_error);
}

TEST_P(LogbookTest, ASomebodyElsesObjectUnderOurNameFailsTheWriter) {
  auto out = writer();
  store.put("logbook/" + out->incarnation() + "/00000000000000000000", "theirs");
  append_wal(*out, 0, 10);
  EXPECT_EQ(error_of([&] { out->flush(cancel); }).code(), Code::conflict);
}

TEST_P(LogbookTest, FlushesByItselfWhenTimeHasPassedOrEnoughWaits) {
  auto options = manual();
  options.flush_interval = Millis(20);
  LogbookWriter timed(vault, options, Clock::real(), random);
  append_wal(timed, 0, 10);
  while (timed.status().objects == 0) std::this_thread::yield();

  options.flush_interval = std::chrono::hours(1);
  options.flush_bytes = ByteCount(5000);
  LogbookWriter sized(vault, options, Clock::real(), random);
  append_wal(sized, 10, 100);
  append_wal(sized, 100, 6000);
  while (sized.status().objects == 0) std::this_thread::yield();
  EXPECT_EQ(Logbook::load(vault).read_bytes({kWal}, Position(0), Position(6000)), wal(0, 6000));
}

TEST_P(LogbookTest, ManySourcesAtATime) {
  auto options = manual();
  options.flush_bytes = ByteCount(20'000);
  options.max_buffered = ByteCount(40'000);
  LogbookWriter out(vault, options, clock, random);
  std::vector<std::thread> sources;
  for (int s = 0; s < 4; ++s) {
    sources.emplace_back([&, s] {
      std::string log = "kafka/c/t/topic/" + std::to_string(s);
      for (int i = 0; i < 500; ++i) {
        out.append(extent(log, i * 100, (i + 1) * 100), wal(i * 100, (i + 1) * 100), cancel);
        if (i % 100 == s) out.flush(cancel);
      }
    });
  }
  for (auto& source : sources) source.join();
  out.close(cancel);
  auto book = Logbook::load(vault);
  EXPECT_GT(objects_of(store, "logbook/").size(), 5u);
  for (int s = 0; s < 4; ++s) {
    LogName log{"kafka/c/t/topic/" + std::to_string(s)};
    EXPECT_EQ(book.read_bytes(log, Position(0), Position(50'000)), wal(0, 50'000));
  }
}

TEST_P(LogbookTest, ThousandsOfObjectsAndAFooterLargerThanItsFirstRead) {
  auto out = writer();
  for (int i = 0; i < 3000; ++i) {
    append_wal(*out, i * 2, i * 2 + 2);
    out->flush(cancel);
  }
  for (int i = 0; i < 4000; ++i) {
    out->append(extent("kafka/a-long-cluster-id/a-long-topic-id/topic/" + std::to_string(i), 0, 5),
                "12345", cancel);
  }
  out->close(cancel);
  auto book = Logbook::load(vault);
  EXPECT_EQ(book.logs().size(), 4001u);
  EXPECT_EQ(book.read_bytes({kWal}, Position(0), Position(6000)), wal(0, 6000));
}

LIFEBOAT_ON_BOTH_KINDS(FailingLogbookTest);
LIFEBOAT_ON_BOTH_KINDS(LogbookTest);

}  // namespace
}  // namespace lifeboat::vault
