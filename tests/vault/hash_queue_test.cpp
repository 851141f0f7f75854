#include "vault/hash_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "base/random.hpp"

namespace lifeboat::vault {
namespace {

std::string piece(std::size_t size, std::uint64_t seed) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>((i + 1) * (seed + 3) >> 3);
  return out;
}

TEST(HashQueue, EachPieceIsHandedOnOnceWithItsDigest) {
  for (unsigned threads : {0u, 1u, 4u}) {
    Random random(5);
    std::mutex mutex;
    std::vector<int> times(500);
    {
      HashQueue queue(threads);
      for (std::size_t i = 0; i < times.size(); ++i) {
        auto bytes = piece(random.below(20'000), i);
        queue.add(bytes, [&, i, bytes](HashQueue::Hashed hashed) {
          EXPECT_EQ(hashed.bytes, bytes) << i;
          EXPECT_EQ(hashed.digest, sha256(bytes)) << i;
          std::lock_guard lock(mutex);
          ++times[i];
        });
      }
    }  // all are handed on by then
    EXPECT_EQ(times, std::vector<int>(times.size(), 1)) << threads;
  }
}

// Whoever is handed pieces may keep them: then who adds must wait.
TEST(HashQueue, NoMoreIsUnderWayThanItSays) {
  constexpr std::size_t size = 1u << 20, keep = 10;
  constexpr std::uint64_t most = HashQueue::kUnderWay.value / size;
  std::atomic<std::uint64_t> let_go = 0;
  std::deque<HashQueue::Hashed> kept;  // by the queue's one thread
  HashQueue queue(1);
  for (std::uint64_t added = 1; added <= 100; ++added) {
    queue.add(piece(size, added), [&](HashQueue::Hashed hashed) {
      kept.push_back(std::move(hashed));
      if (kept.size() <= keep) return;
      ++let_go;
      kept.pop_front();
    });
    EXPECT_LE(added - let_go, most);
  }
  queue.wait_until_empty();
  EXPECT_EQ(let_go + kept.size(), 100u);
  kept.clear();
}

TEST(HashQueue, APieceThatIsLargerThanAllRoomGoesAlone) {
  std::atomic<bool> came = false;
  HashQueue queue(1);
  queue.add(std::string(HashQueue::kUnderWay.value + 1, 'x'), [&](auto) { came = true; });
  queue.add("small", [&](const auto& hashed) { EXPECT_EQ(hashed.digest, sha256("small")); });
  queue.wait_until_empty();
  EXPECT_TRUE(came);
}

}  // namespace
}  // namespace lifeboat::vault
