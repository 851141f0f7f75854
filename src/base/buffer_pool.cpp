#include "base/buffer_pool.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace lifeboat {
namespace {

// Of the whole pages of that size in the buffer's room.
void advise(const std::string& buffer, std::uintptr_t page, int advice) {
  const auto at = reinterpret_cast<std::uintptr_t>(buffer.data());
  const auto begin = (at + page - 1) / page * page;
  const auto end = (at + buffer.capacity()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

void ask_for_huge_pages(const std::string& buffer) {
  advise(buffer, 2u << 20, MADV_HUGEPAGE);
}

struct BufferPool::State {
  State(std::size_t k, ByteCount u) : keep(k), usual(u) { free.reserve(keep); }

  void give_back(std::unique_ptr<std::string> buffer) {
    if (buffer->capacity() > 2 * usual.value) return;
    std::lock_guard lock(mutex);
    if (free.size() < keep) free.push_back(std::move(buffer));
  }

  const std::size_t keep;
  const ByteCount usual;
  std::mutex mutex;
  std::vector<std::unique_ptr<std::string>> free;  // the one that was given back last is the last
  std::size_t shrunk = 0;                          // the first of them, which have no memory
};

BufferPool::BufferPool(std::size_t keep, ByteCount usual)
    : state_(std::make_shared<State>(keep, usual)) {}

std::shared_ptr<std::string> BufferPool::take() {
  std::unique_ptr<std::string> buffer;
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->free.empty()) {
      buffer = std::move(state_->free.back());
      state_->free.pop_back();
      state_->shrunk = std::min(state_->shrunk, state_->free.size());
    }
  }
  if (!buffer) {
    buffer = std::make_unique<std::string>();
    buffer->reserve(state_->usual.value);
    ask_for_huge_pages(*buffer);
  }
  return {buffer.release(), [state = state_](std::string* given) {
            state->give_back(std::unique_ptr<std::string>(given));
          }};
}

// The address stays: what is written there next gets new pages.
void BufferPool::shrink(std::size_t keep) {
  std::lock_guard lock(state_->mutex);
  if (state_->free.size() - state_->shrunk <= keep) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  advise(*state_->free[state_->shrunk++], page, MADV_DONTNEED);
}

}  // namespace lifeboat
