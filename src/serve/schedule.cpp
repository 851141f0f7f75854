#include "serve/schedule.hpp"

#include <algorithm>

namespace lifeboat::serve {

Timestamp next_run_at(const RunTimes& times, Millis every, Timestamp now) {
  Timestamp due = now;
  if (times.newest) due = std::min(*times.newest + every.count(), now + every.count());
  if (times.failed) {
    auto wait = std::min(every, kRetryAfter).count();
    due = std::max(due, std::min(*times.failed + wait, now + wait));
  }
  return std::max(due, now);
}

}  // namespace lifeboat::serve
