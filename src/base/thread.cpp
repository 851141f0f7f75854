#include "base/thread.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <future>
#include <iterator>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/cancel.hpp"

namespace lifeboat {
namespace {

constexpr Millis kMostUntilGone{1000};

std::ptrdiff_t threads_of_this_process() {
  std::error_code ignored;
  const std::filesystem::directory_iterator tasks("/proc/self/task", ignored);
  return std::distance(begin(tasks), end(tasks));
}

}  // namespace

Error no_thread_for(const std::string& work) {
  return Error(Code::failed, work, "cannot begin: this machine gives no more threads or processes",
               "raise what limits them: `ulimit -u` of this user, TasksMax= of the service, or "
               "pids.max of the container (or `ulimit -v`, as each needs memory); or stop others "
               "under the same limit");
}

std::thread start_thread(const std::string& work, std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error&) {
    throw no_thread_for(work);
  }
}

void require_threads(std::size_t count, const std::string& work) {
  const auto before = threads_of_this_process();
  std::promise<void> all_begun;
  const auto begun = all_begun.get_future().share();
  {
    std::vector<std::jthread> threads;
    try {
      while (threads.size() < count) threads.emplace_back([begun] { begun.wait(); });
    } catch (const std::system_error&) {
    }
    all_begun.set_value();
    if (threads.size() < count) throw no_thread_for(work);
  }
  // One that was joined still counts for a moment.
  const auto deadline = Deadline::after(kMostUntilGone);
  while (threads_of_this_process() > before && !deadline.passed()) std::this_thread::yield();
}

void for_each_index(std::size_t count, std::size_t threads,
                    const std::function<void(std::size_t)>& f) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (auto i = next++; i < count; i = next++) f(i);
    } catch (...) {
      next = count;
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    try {
      for (std::size_t n = 1; n < std::min(count, threads); ++n) others.emplace_back(work);
    } catch (const std::system_error&) {  // those that began, and the caller, do it all
    }
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lifeboat
