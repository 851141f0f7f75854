#include "base/buffer_pool.hpp"

#include <gtest/gtest.h>

namespace lifeboat {
namespace {

TEST(BufferPool, GivesOutWhatWasGivenBackLast) {
  BufferPool pool(2, ByteCount(500));
  auto first = pool.take();
  auto second = pool.take();
  first->resize(100);
  second->resize(200);
  const auto* memory = second->data();
  first.reset();
  second.reset();
  const auto again = pool.take();
  EXPECT_EQ(again->data(), memory);
  EXPECT_GE(again->capacity(), 500u);
}

TEST(BufferPool, LetsGoOfLargeOnesAndOfTooMany) {
  BufferPool pool(1, ByteCount(500));
  auto large = pool.take();
  large->resize(1001);
  large.reset();
  EXPECT_TRUE(pool.take()->empty());
  auto one = pool.take();
  auto other = pool.take();
  one->resize(10);
  other->resize(20);
  one.reset();
  other.reset();
  EXPECT_EQ(pool.take()->size(), 10u);
  auto kept = pool.take();
  EXPECT_TRUE(pool.take()->empty());
}

TEST(BufferPool, ShrinksByWhatWasNotUsedForLongest) {
  constexpr std::size_t kSize = 64 << 10;
  BufferPool pool(3, ByteCount(kSize));
  const auto fill = [&] {
    std::vector<std::shared_ptr<std::string>> taken;
    for (char c : {'a', 'b', 'c'}) {
      taken.push_back(pool.take());
      taken.back()->assign(kSize, c);
    }
    for (auto& one : taken) one.reset();
  };
  fill();
  for (int i = 0; i < 5; ++i) pool.shrink(1);
  const auto last = pool.take(), second = pool.take(), first = pool.take();
  EXPECT_EQ(*last, std::string(kSize, 'c'));
  for (const auto& one : {second, first}) {
    ASSERT_EQ(one->size(), kSize);
    EXPECT_EQ((*one)[kSize / 2], '\0');
    one->assign(kSize, 'x');
    EXPECT_EQ(*one, std::string(kSize, 'x'));
  }
  EXPECT_EQ(*last, std::string(kSize, 'c'));
  pool.shrink(0);  // nobody gave one back
}

TEST(BufferPool, BuffersOutliveIt) {
  std::shared_ptr<std::string> buffer;
  {
    BufferPool pool(1, ByteCount(500));
    buffer = pool.take();
  }
  buffer->resize(10);
  EXPECT_EQ(buffer->size(), 10u);
}

}  // namespace
}  // namespace lifeboat
