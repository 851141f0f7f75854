#include "base/buffer_pool.hpp"

#include <mutex>
#include <utility>
#include <vector>

namespace lifeboat {

struct BufferPool::State {
  State(std::size_t k, ByteCount l) : keep(k), largest(l) { free.reserve(keep); }

  void give_back(std::unique_ptr<std::string> buffer) {
    if (buffer->capacity() > largest.value) return;
    std::lock_guard lock(mutex);
    if (free.size() < keep) free.push_back(std::move(buffer));
  }

  const std::size_t keep;
  const ByteCount largest;
  std::mutex mutex;
  std::vector<std::unique_ptr<std::string>> free;
};

BufferPool::BufferPool(std::size_t keep, ByteCount largest)
    : state_(std::make_shared<State>(keep, largest)) {}

std::shared_ptr<std::string> BufferPool::take() {
  std::unique_ptr<std::string> buffer;
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->free.empty()) {
      buffer = std::move(state_->free.back());
      state_->free.pop_back();
    }
  }
  if (!buffer) buffer = std::make_unique<std::string>();
  return {buffer.release(), [state = state_](std::string* given) {
            state->give_back(std::unique_ptr<std::string>(given));
          }};
}

}  // namespace lifeboat
