#include "vault/work_pool.hpp"

#include <system_error>

#include "base/error.hpp"

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
  if (threads_.size() < wanted_) start_thread();
  ++under_way_;
  queue_.push_back(std::move(job));
  lock.unlock();
  changed_.notify_all();
}

// A machine that has none to give leaves the work to fewer.
void WorkPool::start_thread() {
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    if (threads_.empty())
      throw system_error(error.code().value(), "this machine", "starting a thread");
  }
}

void WorkPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    {
      auto job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      job();
    }
    lock.lock();
    --under_way_;
    changed_.notify_all();
  }
}

void WorkPool::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return under_way_ == 0; });
}

}  // namespace lifeboat::vault
