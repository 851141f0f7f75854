#pragma once

#include <optional>

#include "base/types.hpp"

namespace lifeboat::serve {

// What the schedule knows.
struct PointTimes {
  std::optional<Timestamp> newest;  // creation of the newest point that can be read
  std::optional<Timestamp> failed;  // the last try, when it failed and no point came after it
};

constexpr Millis kRetryAfter{60000};

// When the next point is due; `now` when at once. Pure. Never later than `every` from now: a newest
// point "in the future" (the wall clock was put back) does not stop the schedule. After a failure
// the next try comes when `every` or kRetryAfter has passed since, whichever is less.
Timestamp next_point_at(const PointTimes& times, Millis every, Timestamp now);

}  // namespace lifeboat::serve
