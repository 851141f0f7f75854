#include "pace.hpp"

#include <algorithm>

namespace loadgen {
namespace {

constexpr double kMostDueSeconds = 0.2;

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Pace::Pace(double per_second) : per_second_(per_second), last_(std::chrono::steady_clock::now()) {}

std::uint64_t Pace::take_due() {
  const auto now = std::chrono::steady_clock::now();
  due_ += std::chrono::duration<double>(now - last_).count() * per_second_;
  due_ = std::min(due_, std::max(1.0, per_second_ * kMostDueSeconds));
  last_ = now;
  const auto whole = static_cast<std::uint64_t>(due_);
  due_ -= static_cast<double>(whole);
  return whole;
}

void Pace::restart() {
  due_ = 0;
  last_ = std::chrono::steady_clock::now();
}

Random::Random(std::uint64_t seed) : a_(splitmix(seed)), b_(splitmix(seed)) {}

std::uint64_t Random::next() {
  std::uint64_t x = a_;
  const std::uint64_t y = b_;
  a_ = y;
  x ^= x << 23;
  b_ = x ^ y ^ (x >> 17) ^ (y >> 26);
  return b_ + y;
}

std::uint32_t Random::below(std::uint32_t below) {
  return static_cast<std::uint32_t>(((next() >> 32) * below) >> 32);
}

}  // namespace loadgen
