// What locks objects, and a bucket as it was: one suite for all stores with locks, then S3's own.
#include "store/object_lock.hpp"

#include <gtest/gtest.h>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "s3_fixture.hpp"
#include "store/memory_store.hpp"
#include "store/retry_store.hpp"
#include "store/s3_answers.hpp"
#include "store/s3_lock_probe.hpp"
#include "store/s3_store.hpp"
#include "store_fixture.hpp"

namespace lifeboat::store {
namespace {

constexpr Millis kLock{3'600'000};

Millis rule(const std::string& name, Write how) {
  if (name.starts_with("swapped/")) return how == Write::replace ? kLock : Millis(0);
  return name.starts_with("kept/") ? kLock : Millis(0);
}

struct LockingMemory {
  MemoryStore memory{rule, Clock::real()};
  RetryStore store{memory, {}};  // as decorators pass it on
  ObjectStore& get() { return store; }
};
struct LockingSeaweedFs {
  S3Store store{locked_place(), rule};
  ObjectStore& get() { return store; }
};

template <typename Factory>
class Locks : public ::testing::Test {
 protected:
  Factory factory_;
  const Timestamp begun_ = Clock::real().now();
  ObjectStore& store() { return factory_.get(); }

  // Locked by a write of this test: not much shorter or longer than the rule says.
  void expect_locked(const std::string& name) {
    const auto until = store().locked_until(name);
    ASSERT_TRUE(until) << name;
    EXPECT_GE(*until, begun_ + kLock.count()) << name;
    EXPECT_LE(*until, Clock::real().now() + kLock.count() + 1000) << name;
  }
};
using Factories = ::testing::Types<LockingMemory, LockingSeaweedFs>;
struct FactoryNames {
  template <typename Factory>
  static std::string GetName(int) {
    return std::is_same_v<Factory, LockingMemory> ? "memory" : "seaweedfs";
  }
};
TYPED_TEST_SUITE(Locks, Factories, FactoryNames);

TYPED_TEST(Locks, AWriteLocksWhatTheRuleSays) {
  auto& store = this->store();
  store.put_if_absent("kept/a", "1");
  store.put_parts_if_absent("kept/large", {std::string(20'000'000, 'x'), "y"});
  store.put_if_absent("free/a", "1");
  store.put("kept/note", "1");
  store.put_if_absent("swapped/a", "open");
  this->expect_locked("kept/a");
  this->expect_locked("kept/large");
  for (std::string name : {"free/a", "kept/note", "swapped/a", "none"}) {
    EXPECT_EQ(store.locked_until(name), std::nullopt) << name;
  }
  const auto seen = store.stat("swapped/a")->version;
  EXPECT_EQ(store.put_if_unchanged("swapped/a", "whole", seen), PutResult::written);
  this->expect_locked("swapped/a");
  EXPECT_EQ(store.get("kept/large")->size(), 20'000'001u);
}

TYPED_TEST(Locks, OnlyGrow) {
  auto& store = this->store();
  store.put_if_absent("kept/a", "1");
  const auto first = store.locked_until("kept/a").value();
  EXPECT_TRUE(store.lock_until("kept/a", first + -1'800'000));
  EXPECT_EQ(store.locked_until("kept/a"), first);
  EXPECT_TRUE(store.lock_until("kept/a", first + 1'800'000));
  const auto second = store.locked_until("kept/a").value();
  EXPECT_GE(second, first + 1'800'000);
  EXPECT_LE(second, first + 1'801'000);
  store.put_if_absent("free/a", "1");
  EXPECT_TRUE(store.lock_until("free/a", first));
  EXPECT_GE(store.locked_until("free/a"), first);
  EXPECT_FALSE(store.lock_until("none", first));
}

TYPED_TEST(Locks, EndByThemselves) {
  auto& store = this->store();
  store.put_if_absent("free/a", "1");
  EXPECT_TRUE(store.lock_until("free/a", Clock::real().now() + 1500));
  EXPECT_TRUE(store.locked_until("free/a"));
  const auto deadline = Deadline::after(Millis(60'000));
  while (store.locked_until("free/a") && !deadline.passed()) Cancel().sleep_for(Millis(50));
  EXPECT_EQ(store.locked_until("free/a"), std::nullopt);
}

// The bytes stay (S3Locks, below), and the name can be used again.
TYPED_TEST(Locks, ALockedObjectGoesOutOfSight) {
  auto& store = this->store();
  store.put_if_absent("kept/a", "1");
  EXPECT_TRUE(store.remove("kept/a"));
  EXPECT_EQ(store.get("kept/a"), std::nullopt);
  EXPECT_EQ(store.locked_until("kept/a"), std::nullopt);
  EXPECT_EQ(store.put_if_absent("kept/a", "2"), PutResult::written);
  EXPECT_EQ(store.get("kept/a"), "2");
}

TEST(NoLocks, OfAStoreWithoutThem) {
  TemporaryDirectory directory;
  DirectoryStore files(directory.path());
  MemoryStore memory;
  S3Store s3(s3_place("s3proxy"));
  for (ObjectStore* store : std::initializer_list<ObjectStore*>{&files, &memory, &s3}) {
    store->put_if_absent("a", "1");
    EXPECT_EQ(store->locked_until("a"), std::nullopt);
    try {
      store->lock_until("a", Clock::real().now() + 1000);
      ADD_FAILURE() << store->describe();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unsupported) << error.what();
    }
  }
}

// Requests as whoever has a key may send them.
class Requests {
 public:
  explicit Requests(const S3Location& place) : prefix_(place.prefix), client_(place) {}

  S3Response send(const char* operation, const char* method, const std::string& name,
                  S3Fields query = {}, std::string_view body = {}, S3Fields headers = {}) {
    S3Request r;
    r.operation = operation;
    r.method = method;
    r.key = prefix_ + "/" + name;
    r.query = std::move(query);
    r.headers = std::move(headers);
    r.body = body;
    r.with_md5 = !body.empty();
    return client_.send(std::move(r));
  }
  S3Response head(const std::string& name) { return send("HeadObject", "HEAD", name); }

 private:
  std::string prefix_;
  S3Client client_;
};

TEST(S3Locks, TheServerRefusesToUndoThem) {
  const auto place = locked_place();
  S3Store store(place, rule);
  store.put_if_absent("kept/a", "1");
  Requests anybody(place);
  const auto id = anybody.head("kept/a").header("x-amz-version-id");
  ASSERT_FALSE(id.empty());
  const auto shorter = retention_document(ObjectLock::Mode::compliance, Clock::real().now() + 9000);
  EXPECT_EQ(
      anybody.send("PutObjectRetention", "PUT", "kept/a", {{"retention", ""}}, shorter).status,
      403);
  for (const char* bypass : {"false", "true"}) {
    EXPECT_EQ(anybody
                  .send("DeleteObject", "DELETE", "kept/a", {{"versionId", id}}, {},
                        {{"x-amz-bypass-governance-retention", bypass}})
                  .status,
              403);
  }
  EXPECT_TRUE(store.remove("kept/a"));
  EXPECT_EQ(anybody.send("GetObject", "GET", "kept/a", {{"versionId", id}}).body, "1");
}

TEST(S3Locks, ABucketWithoutThemIsSaid) {
  auto place = s3_place("seaweedfs");
  place.lock = ObjectLock{ObjectLock::Mode::compliance, kLock};
  S3Store store(place, rule);
  try {
    store.put_if_absent("kept/a", "1");
    ADD_FAILURE() << "written without a lock";
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("Object Lock"), std::string::npos) << error.what();
  }
  EXPECT_EQ(store.put_if_absent("free/a", "1"), PutResult::written);
  Random random;
  EXPECT_THROW(probe_lock(place, Clock::real(), random), Error);
}

TEST(S3Locks, AreBelievedWhenTheyWereTried) {
  Random random;
  auto seen = probe_lock(locked_place(), Clock::real(), random);
  EXPECT_TRUE(seen.holds) << seen.broken;
  EXPECT_TRUE(seen.notes.empty());
  auto place = locked_place(ObjectLock::Mode::governance);
  seen = probe_lock(place, Clock::real(), random);  // the server's owner
  EXPECT_TRUE(seen.holds) << seen.broken;
  ASSERT_EQ(seen.notes.size(), 1u);
  EXPECT_NE(seen.notes[0].find("BypassGovernanceRetention"), std::string::npos);
  place.profile = "writer";
  seen = probe_lock(place, Clock::real(), random);
  EXPECT_TRUE(seen.holds) << seen.broken;
  ASSERT_EQ(seen.notes.size(), 1u);
  EXPECT_NE(seen.notes[0].find("may not delete"), std::string::npos);
}

// Now; when it returns, whatever is written has a later time at the server, which counts seconds.
Timestamp moment(S3Location place) {
  S3Store store(place);
  place.as_of = Clock::real().now();
  const auto deadline = Deadline::after(Millis(60'000));
  for (int n = 0; !deadline.passed(); ++n) {
    const auto name = "tick/" + std::to_string(n);
    store.put(name, "");
    if (!S3Store(place).stat(name)) return *place.as_of;
    Cancel().sleep_for(Millis(50));
  }
  ADD_FAILURE() << "the server's clock stands still";
  return *place.as_of;
}

TEST(S3Past, IsReadAsItWas) {
  auto place = locked_place();
  S3Store store(place, rule);
  const std::string large(20'000'003, 'l');
  store.put_if_absent("kept/a", "first");
  store.put_parts_if_absent("kept/large", {large});
  store.put("kept/replaced", "before");
  store.put("kept/gone-before", "x");
  store.remove("kept/gone-before");
  const auto then = moment(place);
  store.put("kept/replaced", "by somebody else");
  store.remove("kept/a");
  store.put("kept/large", "overwritten");
  store.put("kept/gone-before", "back");
  store.put("kept/new", "x");

  place.as_of = then;
  S3Store past(place, rule);
  std::vector<std::string> names;
  past.list("kept/", [&](const ObjectInfo& info) { names.push_back(info.name); });
  EXPECT_EQ(names, (std::vector<std::string>{"kept/a", "kept/large", "kept/replaced"}));
  S3Store cold(place, rule);  // knows no versions yet
  for (S3Store* one : {&past, &cold}) {
    EXPECT_EQ(one->get("kept/a"), "first");
    EXPECT_TRUE(one->get("kept/large") == large);
    EXPECT_EQ(one->get_range("kept/large", ByteCount(20'000'000), ByteCount(9)), "lll");
    EXPECT_EQ(one->stat("kept/large")->size, ByteCount(large.size()));
    EXPECT_EQ(one->get("kept/replaced"), "before");
    EXPECT_EQ(one->get("kept/new"), std::nullopt);
    EXPECT_EQ(one->stat("kept/gone-before"), std::nullopt);
    EXPECT_TRUE(one->locked_until("kept/a"));
  }
  EXPECT_THROW(past.put("x", ""), Error);
  EXPECT_THROW(past.put_if_absent("x", ""), Error);
  EXPECT_THROW(past.remove("kept/a"), Error);
  EXPECT_EQ(store.get("kept/replaced"), "by somebody else");
}

}  // namespace
}  // namespace lifeboat::store
