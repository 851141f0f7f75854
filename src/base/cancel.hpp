#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/types.hpp"

namespace lifeboat {

// A request to stop, shared by reference between threads. Thread-safe. Once requested it stays.
class Cancel {
 public:
  void request() noexcept;
  bool requested() const noexcept;
  // Throws Error(cancelled) when a stop was requested.
  void check() const;
  // Sleeps; returns false at once when a stop is requested meanwhile.
  bool sleep_for(Millis duration) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool requested_ = false;
};

// A moment on the steady clock by which something must be done.
class Deadline {
 public:
  static Deadline after(Millis duration);
  static Deadline never();

  bool passed() const;
  // 0 when it has passed; at most 24 hours (so that it fits any API).
  Millis left() const;

 private:
  std::optional<std::chrono::steady_clock::time_point> at_;
};

}  // namespace lifeboat
