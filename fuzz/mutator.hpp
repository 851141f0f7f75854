#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace lifeboat::fuzz {

// Changes seeds a little. Some of what it does to JSON keeps it JSON: it would mostly end at the
// parser otherwise.
class Mutator {
 public:
  // The seeds must outlive it.
  Mutator(std::uint64_t seed, const std::vector<std::string>& seeds)
      : random_(seed), seeds_(seeds) {}

  std::string next();

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  char odd_byte();
  std::string odd_value();  // of JSON
  void change(std::string& bytes);
  void change_value(std::string& json);

  std::mt19937_64 random_;
  const std::vector<std::string>& seeds_;
};

}  // namespace lifeboat::fuzz
