#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/checksum.hpp"
#include "base/types.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {

// Content on its way to be hashed, on threads of its own: what waits at the same time is hashed at
// once (sha256_each), and handed on piece by piece. Thread-safe; in order when there is one thread.
class HashQueue {
 public:
  // Of content, with what each piece takes besides; or one piece.
  static constexpr ByteCount kUnderWay{20u << 20};

  struct Hashed {
    std::string bytes;
    Digest digest;
    std::shared_ptr<const void> room;  // of kUnderWay: taken as long as somebody holds it
  };
  // May block, and throws nothing.
  using Next = std::function<void(Hashed)>;

  // 0: the caller hashes. Its end waits until all was handed on.
  explicit HashQueue(unsigned threads) : pool_(threads, SIZE_MAX) {}
  // Blocks while kUnderWay is taken.
  void add(std::string bytes, Next next);
  void wait_until_empty() { pool_.wait_until_idle(); }  // until all was handed on

 private:
  struct Waiting {
    std::string bytes;
    Next next;
    std::shared_ptr<const void> room;
  };

  std::shared_ptr<const void> take_room(std::uint64_t bytes);
  std::vector<Waiting> take_some();
  void hash_some();

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  std::uint64_t under_way_ = 0;  // bytes
  WorkPool pool_;  // last: its threads end first. A job for each piece, most find it taken
};

}  // namespace lifeboat::vault
