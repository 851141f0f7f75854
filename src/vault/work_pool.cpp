#include "vault/work_pool.hpp"

#include <system_error>

namespace lifeboat::vault {

WorkPool::~WorkPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkPool::enqueue(std::function<void()> job) {
  if (wanted_ == 0) return job();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return under_way_ < most_; });
  ++under_way_;
  if (!has_thread()) return run(lock, std::move(job));
  queue_.push_back(std::move(job));
  lock.unlock();
  changed_.notify_all();
}

// One more, as long as there are fewer than wanted and the machine gives it.
bool WorkPool::has_thread() {
  try {
    if (threads_.size() < wanted_) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {  // it is left to those that are there
  }
  return !threads_.empty();
}

void WorkPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto job = std::move(queue_.front());
    queue_.pop_front();
    run(lock, std::move(job));
  }
}

// Not under the lock; what the job holds is gone before the next one begins.
void WorkPool::run(std::unique_lock<std::mutex>& lock, std::function<void()> job) {
  lock.unlock();
  job();
  job = nullptr;
  lock.lock();
  --under_way_;
  changed_.notify_all();
}

void WorkPool::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return under_way_ == 0; });
}

}  // namespace lifeboat::vault
