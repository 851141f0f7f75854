#pragma once

#include <chrono>
#include <cstdint>

namespace loadgen {

/// Says how many things are due at a set rate. What could not be done in time is not made up for:
/// at most 200 ms' worth is ever due at once. Of one thread.
class Pace {
 public:
  explicit Pace(double per_second);
  [[nodiscard]] std::uint64_t take_due();
  /// Forgets what is due: after a stop the rate begins anew.
  void restart();

 private:
  double per_second_;
  double due_ = 0;
  std::chrono::steady_clock::time_point last_;
};

/// xorshift128+ seeded by splitmix64: cheap, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  [[nodiscard]] std::uint64_t next();
  /// In [0, below).
  [[nodiscard]] std::uint32_t below(std::uint32_t below);

 private:
  std::uint64_t a_;
  std::uint64_t b_;
};

}  // namespace loadgen
