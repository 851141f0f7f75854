#pragma once

#include <functional>

#include "base/clock.hpp"

namespace lifeboat::store {

// Time for decorators that wait: what time it is, and how to let some pass. Tests pass a clock that
// moves when somebody sleeps.
struct Pause {
  std::reference_wrapper<Clock> clock;
  std::function<void(Millis)> sleep;

  static Pause real();
  static Pause by(ManualClock& clock);
};

}  // namespace lifeboat::store
