#include "store/pause.hpp"

#include "base/cancel.hpp"

namespace lifeboat::store {

Pause Pause::real() {
  return {Clock::real(), [](Millis duration) { Cancel().sleep_for(duration); }};
}

Pause Pause::by(ManualClock& clock) {
  return {clock, [&clock](Millis duration) { clock.advance(duration); }};
}

}  // namespace lifeboat::store
