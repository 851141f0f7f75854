#include "simulation/trace.hpp"

#include <fmt/format.h>

namespace lifeboat::vault::simulation {

void Trace::add(Timestamp now, const std::string& who, std::string_view what,
                const std::string& name, std::string_view outcome) {
  if (events_.size() < length_) {
    events_.emplace_back();
  } else {  // with the memory that it has
    events_.push_back(std::move(events_.front()));
    events_.pop_front();
  }
  auto& event = events_.back();
  event.time = now;
  event.who = who;
  event.what = what;
  event.name = name;
  event.outcome = outcome;
}

std::string Trace::text() const {
  std::string out;
  for (const auto& event : events_) {
    out += fmt::format("  {} {:<12} {:<16} {}: {}\n", to_string(event.time), event.who, event.what,
                       event.name, event.outcome);
  }
  return out;
}

}  // namespace lifeboat::vault::simulation
