#pragma once

#include <optional>

#include "base/types.hpp"

namespace lifeboat::serve {

// What the schedule knows of points, or of verifies.
struct RunTimes {
  std::optional<Timestamp> newest;  // that was had
  std::optional<Timestamp> failed;  // the last try, when it failed and none was had after it
};

constexpr Millis kRetryAfter{60000};

// When the next one is due; `now` when at once. Pure. Never later than `every` from now: a newest
// one "in the future" (the wall clock was put back) does not stop the schedule. After a failure
// the next try comes when `every` or kRetryAfter has passed since, whichever is less.
Timestamp next_run_at(const RunTimes& times, Millis every, Timestamp now);

}  // namespace lifeboat::serve
