#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/cancel.hpp"
#include "store/object_store.hpp"

namespace lifeboat::vault {

// So many threads for who makes calls of the store; none when they are to come from the caller's.
inline unsigned threads_for(const store::ObjectStore& store, unsigned wanted) {
  return store.calls_at_once() > 1 ? wanted : 0;
}

// Keeps the promise with what the job gives, or throws.
template <typename Result, typename Job>
void fulfil(std::promise<Result>& promise, Job&& job) {
  try {
    if constexpr (std::is_void_v<Result>) {
      job();
      promise.set_value();
    } else {
      promise.set_value(job());
    }
  } catch (...) {
    promise.set_exception(std::current_exception());
  }
}

// Runs jobs on a few threads, which start when they are needed; on fewer when the machine gives no
// more, and by the caller when it gives none. Thread-safe.
class WorkPool {
 public:
  // 0 threads: the caller does the jobs. `most` are queued or being done; 0: 2 * threads.
  explicit WorkPool(unsigned threads, std::size_t most = 0)
      : wanted_(threads), most_(most > 0 ? most : 2 * std::size_t{threads}) {}
  ~WorkPool();  // waits for all jobs
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // Blocks while `most` jobs are queued or being done. What the job captures goes when it is
  // done, not when the future goes: a packaged_task would keep it.
  template <typename Result, typename Job>
  std::future<Result> later(Job job) {
    auto promise = std::make_shared<std::promise<Result>>();
    auto future = promise->get_future();
    auto held = std::make_shared<Job>(std::move(job));
    enqueue([promise, held] { fulfil(*promise, *held); });
    return future;
  }
  void wait_until_idle();

 private:
  void enqueue(std::function<void()> job);
  bool has_thread();
  void work();
  void run(std::unique_lock<std::mutex>& lock, std::function<void()> job);

  const unsigned wanted_;
  const std::size_t most_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  std::size_t under_way_ = 0;  // queued or being done
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// f(name) for each, several at a time; what the first one that fails throws.
template <typename Result, typename F>
std::map<std::string, Result> for_all(const store::ObjectStore& store, unsigned at_once,
                                      const std::vector<std::string>& names, const Cancel& cancel,
                                      F f) {
  WorkPool pool(threads_for(store, at_once));
  std::map<std::string, std::future<Result>> asked;
  for (const auto& name : names) {
    cancel.check();
    if (asked.count(name) == 0) asked[name] = pool.later<Result>([&f, name] { return f(name); });
  }
  pool.wait_until_idle();
  std::map<std::string, Result> out;
  for (auto& [name, future] : asked) out[name] = future.get();
  return out;
}

}  // namespace lifeboat::vault
