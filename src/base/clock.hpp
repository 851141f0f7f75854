#pragma once

#include <atomic>
#include <chrono>

#include "base/types.hpp"

namespace lifeboat {

// Where time comes from. Only clock.cpp and cancel.cpp read the machine's clocks.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;  // wall clock, may step
  virtual std::chrono::steady_clock::time_point steady() const = 0;

  static Clock& real();
};

// A clock that tests set by hand. Thread-safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(Timestamp start) : millis_(start.value), start_(start.value) {}
  Timestamp now() const override { return Timestamp(millis_); }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::time_point(Millis(millis_ - start_));
  }
  void advance(Millis d) { millis_ += d.count(); }

 private:
  std::atomic<std::int64_t> millis_;
  std::int64_t start_;
};

// Seconds between two moments, for reports.
inline double seconds_between(std::chrono::steady_clock::time_point from,
                              std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace lifeboat
