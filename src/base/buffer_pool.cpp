#include "base/buffer_pool.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace lifeboat {

void ask_for_huge_pages(const std::string& buffer) {
  constexpr std::uintptr_t kHuge = 2u << 20;
  const auto at = reinterpret_cast<std::uintptr_t>(buffer.data());
  const auto begin = (at + kHuge - 1) / kHuge * kHuge;
  const auto end = (at + buffer.capacity()) / kHuge * kHuge;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
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
  std::vector<std::unique_ptr<std::string>> free;
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

}  // namespace lifeboat
