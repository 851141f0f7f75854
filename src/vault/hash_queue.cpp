#include "vault/hash_queue.hpp"

#include <utility>

namespace lifeboat::vault {
namespace {

constexpr ByteCount kAtOnce{16u << 20};
constexpr ByteCount kEach{1u << 10};  // what a piece takes besides its content

}  // namespace

HashQueue::~HashQueue() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void HashQueue::add(std::string bytes, Next next) {
  if (wanted_ == 0) {
    const auto digest = sha256(bytes);
    return next({std::move(bytes), digest, nullptr});
  }
  auto room = take_room(bytes.size() + kEach.value);
  {
    std::lock_guard lock(mutex_);
    if (threads_.size() < wanted_) threads_.emplace_back([this] { work(); });
    waiting_.push_back({std::move(bytes), std::move(next), std::move(room)});
  }
  changed_.notify_all();
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

void HashQueue::wait_until_empty() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_.empty() && busy_ == 0; });
}

// With the mutex held.
std::vector<HashQueue::Waiting> HashQueue::take_some() {
  std::vector<Waiting> some;
  for (std::uint64_t bytes = 0; !waiting_.empty() && some.size() < sha256_at_once();) {
    bytes += waiting_.front().bytes.size();
    if (bytes > kAtOnce.value && !some.empty()) break;
    some.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return some;
}

void HashQueue::hash(std::vector<Waiting> some) {
  std::vector<std::string_view> contents;
  for (const auto& one : some) contents.push_back(one.bytes);
  const auto digests = sha256_each(contents);
  for (std::size_t i = 0; i < some.size(); ++i) {
    const auto next = std::move(some[i].next);
    next({std::move(some[i].bytes), digests[i], std::move(some[i].room)});
  }
}

void HashQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto some = take_some();
    ++busy_;
    lock.unlock();
    hash(std::move(some));
    lock.lock();
    --busy_;
    changed_.notify_all();
  }
}

}  // namespace lifeboat::vault
