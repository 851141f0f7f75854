#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "base/types.hpp"

namespace lifeboat::vault::simulation {

// The last calls that took effect, for whoever reads a failure.
class Trace {
 public:
  explicit Trace(std::size_t length) : length_(length) {}
  void add(Timestamp now, const std::string& who, std::string_view what, const std::string& name,
           std::string_view outcome);
  std::string text() const;

 private:
  struct Event {
    Timestamp time;
    std::string who, what, name, outcome;
  };
  std::size_t length_;
  std::deque<Event> events_;
};

}  // namespace lifeboat::vault::simulation
