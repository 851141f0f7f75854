#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace lifeboat {

// Where chance comes from; tests pass a seed. One thread at a time.
class Random {
 public:
  Random();  // seeded by the machine
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t next() { return engine_(); }
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : engine_() % n; }
  std::string hex(std::size_t digits);

 private:
  std::mt19937_64 engine_;
};

}  // namespace lifeboat
