#include <gtest/gtest.h>

#include "base/error.hpp"
#include "store/crash_store.hpp"
#include "store/full_store.hpp"
#include "store/memory_store.hpp"

namespace lifeboat::store {
namespace {

TEST(CrashStore, DiesAtTheNthWriteAndStaysDead) {
  MemoryStore inner;
  CrashStore store(inner, 3, CrashStore::LastWrite::does_not);
  store.put("a", "1");
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_EQ(store.put_if_absent("a", "2"), PutResult::exists);
  EXPECT_THROW(store.put("b", "3"), Crashed);
  EXPECT_TRUE(store.crashed());
  EXPECT_THROW(store.get("a"), Crashed);
  EXPECT_THROW(store.put("a", "4"), Crashed);
  EXPECT_EQ(inner.get("a"), "1");
  EXPECT_EQ(inner.get("b"), std::nullopt);
}

TEST(CrashStore, TheDeadlyWriteMayHappen) {
  MemoryStore inner;
  CrashStore store(inner, 1, CrashStore::LastWrite::happens);
  EXPECT_THROW(store.put("b", "3"), Crashed);
  EXPECT_EQ(inner.get("b"), "3");
}

TEST(CrashStore, NeverMeansNever) {
  MemoryStore inner;
  CrashStore store(inner, CrashStore::kNever, CrashStore::LastWrite::happens);
  for (int i = 0; i < 10; ++i) store.put("a", "1");
  EXPECT_EQ(store.writes(), 10u);
}

TEST(FullStore, TakesWhatFitsAndGoesOnWhenThereIsRoom) {
  MemoryStore inner;
  FullStore store(inner, ByteCount(10));
  store.put("a", "123456");
  try {
    store.put_if_absent("b", "12345");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::no_space);
  }
  EXPECT_EQ(inner.get("b"), std::nullopt);
  store.add_room(ByteCount(1));
  EXPECT_EQ(store.put_if_absent("b", "12345"), PutResult::written);
}

}  // namespace
}  // namespace lifeboat::store
