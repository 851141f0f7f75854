#include "base/random.hpp"

#include <fmt/format.h>

namespace lifeboat {

Random::Random() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  engine_.seed(seed);
}

std::string Random::hex(std::size_t digits) {
  std::string out;
  while (out.size() < digits) out += fmt::format("{:016x}", next());
  out.resize(digits);
  return out;
}

}  // namespace lifeboat
