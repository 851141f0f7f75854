#include "store/probe.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "s3_fixture.hpp"
#include "store/forwarding_store.hpp"
#include "store/memory_store.hpp"
#include "store/s3_store.hpp"
#include "store_fixture.hpp"
#include "support/no_more_threads.hpp"

namespace lifeboat::store {
namespace {

// A server that takes conditions and does not look at them.
class Careless : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  bool creates = false, replaces = false;

  PutResult put_if_absent(const std::string& name, std::string_view bytes) override {
    if (!creates) return ForwardingStore::put_if_absent(name, bytes);
    put(name, bytes);
    return PutResult::written;
  }
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen) override {
    if (!replaces) return ForwardingStore::put_if_unchanged(name, bytes, seen);
    put(name, bytes);
    return PutResult::written;
  }
};

std::size_t objects_in(ObjectStore& store) {
  std::size_t n = 0;
  store.list("", [&](const ObjectInfo&) { ++n; });
  return n;
}

TEST(Probe, StoresThatKeepWritersApart) {
  Random random(1);
  MemoryStore memory;
  TemporaryDirectory directory;
  DirectoryStore disk(directory.path());
  S3Store seaweedfs(s3_place("seaweedfs"));
  for (ObjectStore* store : {static_cast<ObjectStore*>(&memory), static_cast<ObjectStore*>(&disk),
                             static_cast<ObjectStore*>(&seaweedfs)}) {
    auto found = probe(*store, random);
    EXPECT_TRUE(found.several_writers()) << store->describe() << ": " << found.what;
    EXPECT_EQ(found.what, "");
    EXPECT_EQ(objects_in(*store), 0u);
  }
}

TEST(Probe, OneThatLooksAndThenWritesIsFoundOut) {
  Random random(1);
  S3Store store(s3_place("s3proxy"));
  Capabilities found;
  for (int i = 0; i < 10 && (i == 0 || found.put_if_unchanged); ++i) found = probe(store, random);
  EXPECT_TRUE(found.put_if_absent) << found.what;
  EXPECT_FALSE(found.put_if_unchanged);
  EXPECT_NE(found.what, "");
  EXPECT_EQ(objects_in(store), 0u);
}

TEST(Probe, ConditionsThatAreNotLookedAtAreFoundOut) {
  struct {
    bool creates, replaces;
  } table[] = {{false, false}, {true, false}, {false, true}, {true, true}};
  for (const auto& row : table) {
    Random random(1);
    MemoryStore memory;
    Careless store(memory);
    store.creates = row.creates;
    store.replaces = row.replaces;
    auto found = probe(store, random, {.writers = 2, .rounds = 1});
    EXPECT_EQ(found.put_if_absent, !row.creates);
    EXPECT_EQ(found.put_if_unchanged, !row.replaces);
    EXPECT_EQ(found.what.empty(), !row.creates && !row.replaces) << found.what;
    EXPECT_EQ(objects_in(memory), 0u);
  }
}

TEST(Probe, WhoMayNotDeleteLeavesNothingLarge) {
  class Undeletable : public ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    bool remove(const std::string& name) override {
      throw Error(Code::denied, name, "may not be deleted");
    }
  };
  Random random(1);
  MemoryStore memory;
  Undeletable store(memory);
  EXPECT_TRUE(probe(store, random, {.writers = 2, .rounds = 1}).several_writers());
  EXPECT_EQ(objects_in(memory), 2u);
  memory.list("", [](const ObjectInfo& left) { EXPECT_EQ(left.size, ByteCount(0)); });
}

TEST(Probe, WithoutAThreadForEachWriterNothingIsKnown) {
  Random random(1);
  MemoryStore store;
  const test::NoMoreThreads none;
  try {
    probe(store, random);
    FAIL() << "it says what it did not find out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_NE(std::string(error.what()).find("cannot begin"), std::string::npos) << error.what();
  }
  EXPECT_EQ(objects_in(store), 0u);
}

TEST(Probe, WhatWasFoundIsRecorded) {
  MemoryStore store;
  EXPECT_FALSE(recorded(store));
  record(store, {true, false, "lost \"updates\""});
  auto found = recorded(store).value();
  EXPECT_TRUE(found.put_if_absent);
  EXPECT_FALSE(found.put_if_unchanged);
  EXPECT_EQ(found.what, "lost \"updates\"");
  record(store, {true, true, ""});
  EXPECT_TRUE(recorded(store)->several_writers());
  for (const char* damaged :
       {"", "{", "[]", "{}", "{\"put_if_absent\": 1, \"put_if_unchanged\": 2}",
        // as it was written before it had a checksum
        R"({"put_if_absent":true,"put_if_unchanged":true,"what":""})",
        R"({"crc32c":null,"put_if_absent":true,"put_if_unchanged":true,"what":""})"}) {
    store.put("capabilities", damaged);
    EXPECT_FALSE(recorded(store)) << damaged;
  }
  store.put("capabilities", R"({"put_if_absent":true,"put_if_unchanged":false,"what":"two won"})");
  EXPECT_FALSE(recorded(store).value().several_writers());
}

// A yes that is not true loses what one of two writers wrote.
TEST(Probe, NoDamageToTheRecordReadsAsAYes) {
  MemoryStore store;
  const auto says_yes = [&](const std::string& bytes) {
    store.put("capabilities", bytes);
    const auto found = recorded(store);
    return found && found->several_writers();
  };
  const Capabilities records[] = {
      {true, true, ""}, {true, true, "false"}, {true, false, "two won"}, {false, true, "true"}, {}};
  for (const auto& one : records) {
    record(store, one);
    const auto whole = store.get("capabilities").value();
    EXPECT_EQ(says_yes(whole), one.several_writers());
    for (std::size_t at = 0; at < whole.size(); ++at) {
      EXPECT_FALSE(says_yes(whole.substr(0, at))) << at;
      for (int change = 1; change < 256; ++change) {
        auto flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ change);
        EXPECT_FALSE(says_yes(flipped)) << flipped;
      }
    }
    for (const char more : {'\n', ' ', '}', '\0'}) EXPECT_FALSE(says_yes(whole + more));
  }
}

}  // namespace
}  // namespace lifeboat::store
