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
};

// Oldest first. Pure, and of the points only: not of the time, nor of their order. The newest is
// always kept; of those that are kept, all are kept again; a larger number keeps no point less.
std::vector<PointVerdict> apply_policy(std::vector<PolicyPoint> points,
                                       const RetentionPolicy& policy);

}  // namespace lifeboat::vault
