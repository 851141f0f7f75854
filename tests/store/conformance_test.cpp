// What every object store must do: one suite for all of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cstring>
#include <thread>

#include "base/error.hpp"
#include "base/random.hpp"
#include "s3_fixture.hpp"
#include "store/fault_store.hpp"
#include "store/memory_store.hpp"
#include "store/retry_store.hpp"
#include "store/s3_store.hpp"
#include "store_fixture.hpp"

namespace lifeboat::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct MemoryFactory {
  static constexpr int kRaces = 30;
  static constexpr bool kKnowsRemoved = true;
  static constexpr bool kSwaps = true;
  MemoryStore store;
  ObjectStore& get() { return store; }
};

struct DirectoryFactory {
  static constexpr int kRaces = 30;
  static constexpr bool kKnowsRemoved = true;
  static constexpr bool kSwaps = true;
  TemporaryDirectory directory;
  DirectoryStore store{directory.path()};
  ObjectStore& get() { return store; }
};

// A store whose calls fail now and then, behind one that tries again.
struct BadDayFactory {
  static constexpr int kRaces = 30;
  static constexpr bool kKnowsRemoved = false;  // after a failure
  static constexpr bool kSwaps = false;  // what was replaced and failed may be replaced once more
  ManualClock clock{Timestamp(0)};
  MemoryStore memory;
  FaultStore faulty{memory,
                    20261122,
                    {{Fault::timeout, Fault::timeout_after, Fault::conflict, Fault::internal_error,
                      Fault::internal_error_after, Fault::busy, Fault::partial_read, Fault::slow},
                     3,
                     3},
                    Pause::by(clock)};
  // Sleepers of all threads move the one clock: more patience than any of them needs.
  RetryStore store{faulty, {.patience = Millis(1'000'000'000)}, Pause::by(clock)};
  ObjectStore& get() { return store; }
};

template <typename Server>
struct S3Factory {
  static constexpr int kRaces = 4;  // SeaweedFS lets writers of one object wait for seconds
  static constexpr bool kSwaps = Server::kSwaps;
  static constexpr bool kKnowsRemoved = true;
  S3Store store{s3_place(Server::name)};
  ObjectStore& get() { return store; }
};
struct SeaweedFs {
  static constexpr const char* name = "seaweedfs";
  static constexpr bool kSwaps = true;
};
struct S3Proxy {
  static constexpr const char* name = "s3proxy";
  static constexpr bool kSwaps = false;  // it looks, then writes: the probe finds it out
};

template <typename Factory>
class Conformance : public ::testing::Test {
 protected:
  Factory factory_;
  ObjectStore& store() { return factory_.get(); }

  std::vector<std::string> names(const std::string& prefix) {
    std::vector<std::string> out;
    store().list(prefix, [&](const ObjectInfo& info) { out.push_back(info.name); });
    return out;
  }
};

using Factories = ::testing::Types<MemoryFactory, DirectoryFactory, BadDayFactory,
                                   S3Factory<SeaweedFs>, S3Factory<S3Proxy>>;
struct FactoryNames {
  template <typename Factory>
  static std::string GetName(int) {
    if (std::is_same_v<Factory, MemoryFactory>) return "memory";
    if (std::is_same_v<Factory, DirectoryFactory>) return "directory";
    if (std::is_same_v<Factory, BadDayFactory>) return "bad_day";
    return std::is_same_v<Factory, S3Factory<S3Proxy>> ? "s3proxy" : "seaweedfs";
  }
};
TYPED_TEST_SUITE(Conformance, Factories, FactoryNames);

TYPED_TEST(Conformance, GivesBackWhatWasPut) {
  std::string bytes = "with \0 and \n"s + std::string(3'000'000, 'x');
  this->store().put("a/b/c", bytes);
  EXPECT_EQ(this->store().get("a/b/c"), bytes);
  EXPECT_EQ(this->store().stat("a/b/c")->size, ByteCount(bytes.size()));
  this->store().put("a/b/c", "");
  EXPECT_EQ(this->store().get("a/b/c"), "");
  EXPECT_EQ(this->store().stat("a/b/c")->size, ByteCount(0));
}

TYPED_TEST(Conformance, LargeObjectsComeBackWholeAndByRange) {
  std::string bytes(40'000'003, '\0');
  Random random(7);
  for (std::size_t i = 0; i + 8 < bytes.size(); i += 8) {
    auto word = random.next();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  const std::string_view all = bytes;
  const std::vector<std::string_view> parts = {all.substr(0, 5), all.substr(5, 17'000'000), "",
                                               all.substr(17'000'005)};
  EXPECT_EQ(this->store().put_parts_if_absent("large", parts), PutResult::written);
  EXPECT_TRUE(this->store().get("large") == bytes);
  EXPECT_EQ(this->store().put_parts_if_absent("large", {all.substr(1)}), PutResult::exists);
  EXPECT_EQ(this->store().stat("large")->size, ByteCount(bytes.size()));
  for (auto [from, length] : {std::pair{8'000'000, 20'000'000}, {39'999'999, 50}, {0, 8 << 20}}) {
    auto range = this->store().get_range("large", ByteCount(from), ByteCount(length));
    EXPECT_TRUE(range == bytes.substr(from, length)) << from;
  }
  this->store().put("large", all.substr(1));
  EXPECT_TRUE(this->store().get("large") == all.substr(1));
  EXPECT_EQ(this->names(""), std::vector<std::string>{"large"});
}

TYPED_TEST(Conformance, AbsentIsAResultNotAnError) {
  for (std::string name : {"none", "no/such/object", "a", "a/b"}) {
    if (name == "a") this->store().put("a/b/c", "x");  // from here on a and a/b are prefixes
    EXPECT_EQ(this->store().get(name), std::nullopt);
    EXPECT_EQ(this->store().get_range(name, ByteCount(0), ByteCount(1)), std::nullopt);
    EXPECT_EQ(this->store().stat(name), std::nullopt);
    EXPECT_FALSE(this->store().remove(name) && TypeParam::kKnowsRemoved);
    EXPECT_EQ(this->store().put_if_unchanged(name, "x", "1"), PutResult::changed);
    EXPECT_EQ(this->store().get(name), std::nullopt);
  }
}

TYPED_TEST(Conformance, RangesEndWithTheObject) {
  this->store().put("r", "0123456789");
  auto range = [&](std::uint64_t from, std::uint64_t length) {
    return this->store().get_range("r", ByteCount(from), ByteCount(length)).value();
  };
  EXPECT_EQ(range(0, 10), "0123456789");
  EXPECT_EQ(range(3, 4), "3456");
  EXPECT_EQ(range(8, 100), "89");
  EXPECT_EQ(range(8, ~0ull), "89");
  EXPECT_EQ(range(10, 1), "");
  EXPECT_EQ(range(~0ull, ~0ull), "");
  EXPECT_EQ(range(5, 0), "");
}

// Whatever lies where the answer may be put, larger or smaller, it is the same.
TYPED_TEST(Conformance, ARangeInRoomThatWasGivenIsTheSame) {
  const std::string bytes = std::string(700'000, 'a') + std::string(700'000, 'b');
  this->store().put("r", bytes);
  std::string room;
  for (auto [from, length] : {std::pair{0, 10},
                              {600'000, 700'000},
                              {699'999, 2},
                              {0, 1'400'000},
                              {1'399'999, 400'000},
                              {1'400'000, 5},
                              {300'000, 400'001}}) {
    for (std::size_t more : {0, 3, 2'000'000}) {
      room.append(more, 'x');
      auto range =
          this->store().get_range_in(std::move(room), "r", ByteCount(from), ByteCount(length));
      ASSERT_TRUE(range.has_value());
      EXPECT_TRUE(*range == bytes.substr(from, length)) << from;
      room = std::move(*range);
    }
  }
  EXPECT_EQ(this->store().get_range_in("room", "none", ByteCount(0), ByteCount(1)), std::nullopt);
}

TYPED_TEST(Conformance, PutIfAbsentNeverReplaces) {
  EXPECT_EQ(this->store().put_if_absent("d/one", "first"), PutResult::written);
  EXPECT_EQ(this->store().put_if_absent("d/one", "second"), PutResult::exists);
  EXPECT_EQ(this->store().get("d/one"), "first");
  EXPECT_TRUE(this->store().remove("d/one"));
  EXPECT_EQ(this->store().put_if_absent("d/one", "third"), PutResult::written);
  EXPECT_EQ(this->store().get("d/one"), "third");
}

TYPED_TEST(Conformance, PutIfUnchangedNeedsTheVersionSeen) {
  this->store().put("v", "1");
  auto first = this->store().stat("v")->version;
  EXPECT_EQ(this->store().put_if_unchanged("v", "2", first), PutResult::written);
  EXPECT_EQ(this->store().put_if_unchanged("v", "3", first), PutResult::changed);
  EXPECT_EQ(this->store().get("v"), "2");
  this->store().remove("v");
  EXPECT_EQ(this->store().put_if_unchanged("v", "4", first), PutResult::changed);
  EXPECT_EQ(this->store().get("v"), std::nullopt);
}

TYPED_TEST(Conformance, EveryChangeGivesAnotherVersion) {
  std::set<std::string> seen;
  for (int i = 100; i < 400; ++i) {  // faster than a file system's clock ticks, all of one size
    this->store().put("v", std::to_string(i));
    EXPECT_TRUE(seen.insert(this->store().stat("v")->version).second) << "change " << i;
  }
}

TYPED_TEST(Conformance, ListsInByteOrderWithSizesAndVersions) {
  for (std::string name : {"a/b", "a.c", "a-b", "a0", "b/a/z", "b/a-z", "b/az", "c"}) {
    this->store().put(name, name);
  }
  EXPECT_THAT(this->names(""),
              ElementsAre("a-b", "a.c", "a/b", "a0", "b/a-z", "b/a/z", "b/az", "c"));
  EXPECT_THAT(this->names("b/"), ElementsAre("b/a-z", "b/a/z", "b/az"));
  EXPECT_THAT(this->names("b/a"), ElementsAre("b/a-z", "b/a/z", "b/az"));
  EXPECT_THAT(this->names("b/a/"), ElementsAre("b/a/z"));
  EXPECT_THAT(this->names("c/"), IsEmpty());
  EXPECT_THAT(this->names("d"), IsEmpty());
  this->store().list("a0", [&](const ObjectInfo& info) {
    EXPECT_EQ(info.size, ByteCount(2));
    EXPECT_EQ(info.version, this->store().stat("a0")->version);
  });
}

TYPED_TEST(Conformance, AVisitorMayUseTheStore) {
  this->store().put("x/1", "1");
  this->store().put("x/2", "2");
  this->store().list("x/", [&](const ObjectInfo& info) { this->store().remove(info.name); });
  EXPECT_THAT(this->names(""), IsEmpty());
}

TYPED_TEST(Conformance, RefusesNamesThatLeadElsewhere) {
  std::string longest(200, 'n');
  std::vector<std::string> bad = {"",
                                  "/",
                                  "/a",
                                  "a/",
                                  "a//b",
                                  "..",
                                  "../a",
                                  "a/../b",
                                  ".",
                                  "a/./b",
                                  ".tmp/x",
                                  "a/.b",
                                  "a b",
                                  "a\nb",
                                  "a\0b"s,
                                  "\xc3\xa4",
                                  "a\\b",
                                  longest + "n",
                                  longest + "/" + longest + "/" + longest};
  for (const auto& name : bad) {
    EXPECT_THROW(this->store().put(name, "x"), Error) << name;
    EXPECT_THROW(this->store().put_if_absent(name, "x"), Error) << name;
    EXPECT_THROW(this->store().put_if_unchanged(name, "x", "1"), Error) << name;
    EXPECT_THROW(this->store().get(name), Error) << name;
    EXPECT_THROW(this->store().get_range(name, ByteCount(0), ByteCount(1)), Error) << name;
    EXPECT_THROW(this->store().stat(name), Error) << name;
    EXPECT_THROW(this->store().remove(name), Error) << name;
  }
  EXPECT_THAT(this->names(""), IsEmpty());
  this->store().put(longest + "/" + longest + "/A-z_0.9", "x");
  EXPECT_EQ(this->names("").size(), 1u);
}

TYPED_TEST(Conformance, OneOfManyThreadsCreates) {
  constexpr int kThreads = 6, kRounds = TypeParam::kRaces;
  std::vector<std::atomic<int>> winners(kRounds);
  std::barrier start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        start.arrive_and_wait();
        std::string mine = "by " + std::to_string(t);
        auto name = "race/" + std::to_string(round);
        if (this->store().put_if_absent(name, mine) == PutResult::written) {
          ++winners[static_cast<std::size_t>(round)];
          EXPECT_EQ(this->store().get(name), mine);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& n : winners) EXPECT_EQ(n, 1);
}

TYPED_TEST(Conformance, NoIncrementIsLostBetweenThreads) {
  this->store().put("counter", "0");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] { increment(this->store(), "counter", 25); });
  }
  for (auto& thread : threads) thread.join();
  if (!TypeParam::kSwaps) return;
  EXPECT_EQ(this->store().get("counter"), "100");
}

TYPED_TEST(Conformance, AReaderNeverSeesAPart) {
  std::string a(400'000, 'a'), b(300'000, 'b');
  this->store().put("whole", a);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) this->store().put("whole", i % 2 == 0 ? b : a);
    stop = true;
  });
  while (!stop) {
    auto seen = this->store().get("whole");
    if (seen != a && seen != b) {
      ADD_FAILURE() << "neither the old nor the new object";
      break;
    }
  }
  writer.join();
}

}  // namespace
}  // namespace lifeboat::store
