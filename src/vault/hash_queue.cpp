#include "vault/hash_queue.hpp"

#include <utility>

namespace lifeboat::vault {
namespace {

constexpr ByteCount kAtOnce{16u << 20};
constexpr ByteCount kEach{1u << 10};  // what a piece takes besides its content

}  // namespace

void HashQueue::add(std::string bytes, Next next) {
  auto room = take_room(bytes.size() + kEach.value);
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(bytes), std::move(next), std::move(room)});
  }
  pool_.later<void>([this] { hash_some(); });
}

std::shared_ptr<const void> HashQueue::take_room(std::uint64_t bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return under_way_ == 0 || under_way_ + bytes <= kUnderWay.value; });
  under_way_ += bytes;
  return {this, [bytes](HashQueue* queue) {
            std::lock_guard given_back(queue->mutex_);
            queue->under_way_ -= bytes;
            queue->changed_.notify_all();
          }};
}

std::vector<HashQueue::Waiting> HashQueue::take_some() {
  std::lock_guard lock(mutex_);
  std::vector<Waiting> some;
  for (std::uint64_t bytes = 0; !waiting_.empty() && some.size() < sha256_at_once();) {
    bytes += waiting_.front().bytes.size();
    if (bytes > kAtOnce.value && !some.empty()) break;
    some.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return some;
}

void HashQueue::hash_some() {
  auto some = take_some();
  std::vector<std::string_view> contents;
  for (const auto& one : some) contents.push_back(one.bytes);
  const auto digests = sha256_each(contents);
  for (std::size_t i = 0; i < some.size(); ++i) {
    const auto next = std::move(some[i].next);
    next({std::move(some[i].bytes), digests[i], std::move(some[i].room)});
  }
}

}  // namespace lifeboat::vault
