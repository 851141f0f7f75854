#pragma once

#include <string>
#include <vector>

#include "base/types.hpp"

namespace lifeboat::vault {

// Which points are kept. Of each hour, day, week (from Monday) and month, in UTC, the newest point
// counts; of so many of them, from the newest point back, that is kept. Periods without a point do
// not count.
struct RetentionPolicy {
  unsigned last = 0;
  unsigned hourly = 0;
  unsigned daily = 0;
  unsigned weekly = 0;
  unsigned monthly = 0;
  Millis within{0};                 // all that are younger than the newest by no more than this
  std::vector<std::string> labels;  // points with one of these are always kept
  // All can be brought back to any moment that is no older than this, counted from the newest point
  // back: the newest point of before is kept, and the logbook from there on. 0: all of the logbook.
  Millis logbook{0};

  // Says nothing: then no point may be dropped by it.
  bool empty() const {
    return last + hourly + daily + weekly + monthly == 0 && within.count() == 0;
  }
};

// A whole point that can be read.
struct PolicyPoint {
  std::string id;
  Timestamp created;
  std::string label;
};

struct PointVerdict {
  PolicyPoint point;
  bool keep = false;
  std::vector<std::string> reasons;  // "daily 2 of 7"; of a dropped one: why
  bool begins_window = false;        // of the logbook
};

// Oldest first. Pure, and of the points only: not of the time, nor of their order. The newest is
// always kept; of those that are kept, all are kept again; a larger number keeps no point less, but
// for `logbook`, of which the window begins with another one then.
std::vector<PointVerdict> apply_policy(std::vector<PolicyPoint> points,
                                       const RetentionPolicy& policy);

}  // namespace lifeboat::vault
