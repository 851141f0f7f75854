#include "base/cancel.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace lifeboat {

void Cancel::request() noexcept {
  {
    std::lock_guard lock(mutex_);
    requested_ = true;
  }
  changed_.notify_all();
}

bool Cancel::requested() const noexcept {
  std::lock_guard lock(mutex_);
  return requested_;
}

void Cancel::check() const {
  if (requested()) {
    throw Error(Code::cancelled, "", "stopped on request", "run the same command again to go on");
  }
}

bool Cancel::sleep_for(Millis duration) const {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, duration, [this] { return requested_; });
}

Deadline Deadline::after(Millis duration) {
  Deadline d;
  d.at_ = std::chrono::steady_clock::now() + duration;
  return d;
}

Deadline Deadline::never() {
  return Deadline();
}

bool Deadline::passed() const {
  return at_ && std::chrono::steady_clock::now() >= *at_;
}

Millis Deadline::left() const {
  constexpr Millis longest = std::chrono::hours(24);
  if (!at_) return longest;
  auto left = std::chrono::duration_cast<Millis>(*at_ - std::chrono::steady_clock::now());
  return std::clamp(left, Millis(0), longest);
}

}  // namespace lifeboat
