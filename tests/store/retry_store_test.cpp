// Decorators that bear bad days, and the store that has them.
#include "store/retry_store.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>

#include "base/error.hpp"
#include "store/fault_store.hpp"
#include "store/memory_store.hpp"
#include "store/metered_store.hpp"
#include "store/paced_store.hpp"

namespace lifeboat::store {
namespace {

const Timestamp kStart{1'000'000};

struct BadDay {
  ManualClock clock{kStart};
  MemoryStore memory;
  FaultStore faulty{memory, 1, {}, Pause::by(clock)};
  RetryStore store{
      faulty,
      {.first_wait = Millis(100), .longest_wait = Millis(1000), .patience = Millis(10'000)},
      Pause::by(clock)};
};

std::string outcome(const std::function<std::string()>& f) {
  try {
    return f();
  } catch (const Error& error) {
    return std::string(to_string(error.code()));
  }
}

std::string word(PutResult result) {
  return result == PutResult::written  ? "written"
         : result == PutResult::exists ? "exists"
                                       : "changed";
}

// The object "there" holds "old"; every call would do what its column's title says.
std::map<std::string, std::function<std::string(ObjectStore&)>> calls() {
  return {
      {"get", [](ObjectStore& s) { return s.get("there").value_or("absent"); }},
      {"get absent", [](ObjectStore& s) { return s.get("none").value_or("absent"); }},
      {"create", [](ObjectStore& s) { return word(s.put_if_absent("new", "mine")); }},
      {"create again", [](ObjectStore& s) { return word(s.put_if_absent("there", "mine")); }},
      {"replace", [](ObjectStore& s) { return word(s.put_if_unchanged("there", "mine", "1")); }},
      {"replace stale",
       [](ObjectStore& s) { return word(s.put_if_unchanged("there", "mine", "0")); }},
      {"remove", [](ObjectStore& s) { return s.remove("there") ? "true" : "false"; }},
      {"list",
       [](ObjectStore& s) {
         std::string out;
         s.list("", [&](const ObjectInfo& info) { out += info.name + " "; });
         return out;
       }},
  };
}

const std::map<std::string, std::string> kGoodDay = {
    {"get", "old"},         {"get absent", "absent"},
    {"create", "written"},  {"create again", "exists"},
    {"replace", "written"}, {"replace stale", "changed"},
    {"remove", "true"},     {"list", "there "}};

TEST(RetryStore, GivesAGoodDaysAnswersOnABadOne) {
  for (auto fault :
       {Fault::none, Fault::timeout, Fault::timeout_after, Fault::conflict, Fault::internal_error,
        Fault::internal_error_after, Fault::busy, Fault::partial_read, Fault::slow}) {
    for (const auto& [name, call] : calls()) {
      for (int in_a_row : {1, 2, 4}) {
        BadDay day;
        day.memory.put("there", "old");
        day.faulty.plan(std::deque<Fault>(static_cast<std::size_t>(in_a_row), fault));
        EXPECT_EQ(outcome([&] { return call(day.store); }), kGoodDay.at(name))
            << name << " with " << in_a_row << " of fault " << static_cast<int>(fault);
      }
    }
  }
}

TEST(FaultStore, EachFaultIsWhatItSays) {
  struct {
    Fault fault;
    const char* call;
    const char* says;
    const char* there;  // what the object called is afterwards
  } table[] = {
      {Fault::timeout, "create", "timeout", "absent"},
      {Fault::timeout_after, "create", "timeout", "mine"},
      {Fault::conflict, "create", "unavailable", "absent"},
      {Fault::conflict, "get", "old", "absent"},  // a read has no conflict
      {Fault::internal_error, "create", "unavailable", "absent"},
      {Fault::internal_error_after, "create", "unavailable", "mine"},
      {Fault::busy, "create", "unavailable", "absent"},
      {Fault::partial_read, "get", "unavailable", "absent"},
      {Fault::partial_read, "create", "written", "mine"},
      {Fault::own_write, "create", "exists", "mine"},
      {Fault::own_write, "replace", "changed", "absent"},
      {Fault::missing_in_listing, "list", "", "absent"},
      {Fault::slow, "create", "written", "mine"},
  };
  for (const auto& row : table) {
    BadDay day;
    day.memory.put("there", "old");
    day.faulty.plan({row.fault});
    EXPECT_EQ(outcome([&] { return calls().at(row.call)(day.faulty); }), row.says)
        << row.call << " with fault " << static_cast<int>(row.fault);
    EXPECT_EQ(day.memory.get("new").value_or("absent"), row.there) << row.call;
    EXPECT_EQ(day.clock.now() - kStart, row.fault == Fault::slow ? 60'000 : 0);
  }
}

TEST(FaultStore, WhatAListingLacksTheNextTells) {
  MemoryStore memory;
  for (const char* name : {"a/1", "a/2", "b/1"}) memory.put(name, "");
  FaultStore faulty(memory, 1, {{Fault::missing_in_listing}, 1, 1 << 30});
  int told = 0;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(list_twice(faulty, "a/"), (std::vector<std::string>{"a/1", "a/2"}));
    faulty.list("a/", [&](const ObjectInfo&) { ++told; });
  }
  EXPECT_LT(told, 200);
  EXPECT_GE(told, 100);
}

TEST(FaultStore, ATruncatedBodyIsABeginning) {
  BadDay day;
  day.memory.put("x", "0123456789");
  std::size_t shortest = 10;
  for (int i = 0; i < 50; ++i) {
    day.faulty.plan({Fault::truncated_body});
    auto got = day.faulty.get_range("x", ByteCount(0), ByteCount(10)).value();
    EXPECT_TRUE(std::string("0123456789").starts_with(got));
    shortest = std::min(shortest, got.size());
  }
  EXPECT_LT(shortest, 10u);
}

TEST(FaultStore, TheSeedDecides) {
  auto weather_of = [](std::uint64_t seed) {
    MemoryStore memory;
    FaultStore store(memory, seed, {{Fault::busy, Fault::timeout}, 3, 3});
    std::string out;
    for (int i = 0; i < 60; ++i) out += outcome([&] { return store.get("x") ? "" : "."; });
    return out;
  };
  EXPECT_EQ(weather_of(7), weather_of(7));
  EXPECT_NE(weather_of(7), weather_of(8));
  EXPECT_NE(weather_of(7).find("unavailable"), std::string::npos);
  EXPECT_NE(weather_of(7).find("timeout"), std::string::npos);
}

TEST(RetryStore, GivesUpAtItsDeadlineAndSaysHowOftenItTried) {
  BadDay day;
  day.faulty.plan(std::deque<Fault>(1000, Fault::busy));
  try {
    day.store.get("x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    EXPECT_NE(std::string(error.what()).find("trying it"), std::string::npos) << error.what();
  }
  EXPECT_LE(day.clock.now() - kStart, 10'000);
  EXPECT_GT(day.clock.now() - kStart, 8'000);
  EXPECT_GT(day.faulty.faults(), 8u);
}

TEST(RetryStore, WhatAnotherTryCannotMendIsThrownAtOnce) {
  for (auto code : {Code::denied, Code::refused, Code::corrupt, Code::no_space, Code::config}) {
    struct Broken : ForwardingStore {
      using ForwardingStore::ForwardingStore;
      Code what{};
      int calls = 0;
      std::optional<std::string> get(const std::string&) override {
        ++calls;
        throw Error(what, "x", "y");
      }
    };
    ManualClock clock(kStart);
    MemoryStore memory;
    Broken broken(memory);
    broken.what = code;
    RetryStore store(broken, {}, Pause::by(clock));
    EXPECT_EQ(outcome([&] { return store.get("x").value(); }), to_string(code));
    EXPECT_EQ(broken.calls, 1);
    EXPECT_EQ(clock.now(), kStart);
  }
}

TEST(RetryStore, AnothersObjectIsNotTakenForOurs) {
  BadDay day;
  day.memory.put("x", "theirs");
  day.faulty.plan({Fault::timeout, Fault::busy});
  EXPECT_EQ(day.store.put_parts_if_absent("x", {"th", "eir"}), PutResult::exists);
  day.faulty.plan({Fault::timeout});
  EXPECT_EQ(day.store.put_parts_if_absent("x", {"theirs", "."}), PutResult::exists);
  day.faulty.plan({Fault::timeout});
  EXPECT_EQ(day.store.put_if_unchanged("x", "mine", "0"), PutResult::changed);
}

TEST(RetryStore, WaitsLongerAndLongerWithinItsBounds) {
  const RetryPolicy policy{.first_wait = Millis(100), .longest_wait = Millis(1000), .patience = {}};
  const int whole[] = {100, 200, 400, 800, 1000, 1000};
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    for (int i = 0; i < 6; ++i) {
      const auto wait = wait_after(policy, i + 1, random).count();
      EXPECT_LE(wait, whole[i]);
      EXPECT_GE(wait, whole[i] / 2);
    }
    EXPECT_LE(wait_after(policy, 1000, random), Millis(1000));
  }
}

TEST(PacedStore, LetsSoManyBytesThroughASecond) {
  ManualClock clock(kStart);
  PacedStore store(std::make_unique<MemoryStore>(), ByteCount(1000), Pause::by(clock));
  struct {
    std::int64_t at;  // when the step has ended
    std::function<void()> step;
  } table[] = {
      {0, [&] { store.put("a", std::string(2000, 'x')); }},  // at once; whoever comes next pays
      {2000, [&] { store.get("b"); }},
      {2000, [&] { store.get("a"); }},
      {4000, [&] { store.stat("a"); }},
      {4000, [&] { store.put("c", std::string(500, 'x')); }},
      {10'000, [&] { clock.advance(Millis(6000)); }},  // what was not used is not saved up
      {10'000, [&] { store.put("c", std::string(1000, 'x')); }},
      {11'000, [&] { store.put("c", std::string(1000, 'x')); }},
  };
  for (const auto& row : table) {
    row.step();
    EXPECT_EQ(clock.now() - kStart, row.at);
  }
}

TEST(MeteredStore, CountsCallsFailuresBytesAndTime) {
  ManualClock clock(kStart);
  MemoryStore memory;
  auto faulty = std::make_unique<FaultStore>(memory, 1, FaultStore::Weather{}, Pause::by(clock));
  auto& weather = *faulty;
  MeteredStore store(std::move(faulty), clock);
  store.put("a", "12345");
  store.put_if_absent("b", "123");
  store.get("a");
  store.get("none");
  weather.plan({Fault::busy});
  EXPECT_THROW(store.get("a"), Error);
  weather.plan({Fault::slow});
  store.get_range("a", ByteCount(1), ByteCount(2));
  store.list("", [](const ObjectInfo&) {});
  store.stat("a");
  store.remove("a");
  const auto seen = store.traffic();
  struct {
    Op op;
    std::uint64_t calls, failed, sent, received;
    double seconds;
  } table[] = {{Op::put, 1, 0, 5, 0, 0},    {Op::put_if_absent, 1, 0, 3, 0, 0},
               {Op::get, 3, 1, 0, 5, 0},    {Op::get_range, 1, 0, 0, 2, 60},
               {Op::list, 1, 0, 0, 0, 0},   {Op::stat, 1, 0, 0, 0, 0},
               {Op::remove, 1, 0, 0, 0, 0}, {Op::put_if_unchanged, 0, 0, 0, 0, 0}};
  for (const auto& row : table) {
    const auto& kind = seen.of(row.op);
    EXPECT_EQ(kind.calls, row.calls) << to_string(row.op);
    EXPECT_EQ(kind.failed, row.failed) << to_string(row.op);
    EXPECT_EQ(kind.sent, ByteCount(row.sent)) << to_string(row.op);
    EXPECT_EQ(kind.received, ByteCount(row.received)) << to_string(row.op);
    EXPECT_DOUBLE_EQ(kind.seconds, row.seconds) << to_string(row.op);
  }
}

}  // namespace
}  // namespace lifeboat::store
