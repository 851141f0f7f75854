#include "simulation/habits.hpp"

namespace lifeboat::vault::simulation {

Habits::Habits(Random& chance, Focus focus) {
  auto one_of = [&](unsigned least, unsigned most) {
    return least + static_cast<unsigned>(chance.below(most - least + 1));
  };
  writers = one_of(1, 3);
  pruners = one_of(1, 3);
  readers = one_of(0, 1);
  verifiers = one_of(0, 3) / 3;
  lives = one_of(2, 4);
  dies_in = one_of(2, 8);
  stay = one_of(0, 9);
  keep_last = one_of(1, 3);
  weather = static_cast<int>(one_of(0, 2));
  retries = one_of(0, 2) != 0;
  clocks = static_cast<Clocks>(one_of(0, 2));
  encrypted = one_of(0, 3) == 0;
  beats = one_of(0, 1) == 0;
  keeps_proofs = one_of(0, 2) == 0;
  if (keeps_proofs) verifiers = one_of(1, 2);
  if (one_of(0, 3) == 0) {
    archivers = one_of(1, 2);
    keepers = one_of(1, 2);
    if (one_of(0, 1) == 0) window = one_of(1, 4) * kGrace;
  }
  if (focus == Focus::window) {
    pruners = one_of(2, 4);
    archivers = keepers = 1;
    verifiers = 0;
    keeps_proofs = false;
    window = one_of(1, 4) * kGrace;
  }
  if (one_of(0, 3) == 0) {
    restorers = one_of(1, 2);
    readers = 0;
    pin_life = one_of(1, 6) * kGrace;
  }
  if (one_of(0, 4) == 0) {
    // The locks of one half end while all go on.
    bool is_short = one_of(0, 1) == 0;
    retain = is_short ? 16 * kGrace : 80 * kGrace;
    if (is_short) between = 10 * kGrace;
    // A clock that is off by days locks for days less: nothing can be said of that.
    if (clocks == Clocks::stepping) clocks = Clocks::off;
  }
}

void Habits::be_about_pins() {
  writers = 2;
  pruners = 3;
  restorers = 2;
  readers = verifiers = archivers = keepers = 0;
  window = retain = Millis(0);
  keep_last = 1;
  lives = 4;
  weather = 0;
  between = kGrace;
  keeps_proofs = false;
}

Millis Habits::farthest_off() const {
  switch (clocks) {
    case Clocks::right:
      return Millis(0);
    case Clocks::off:
      return 5 * kMinute;
    case Clocks::stepping:
      break;
  }
  return 3 * kDay;
}

RetentionPolicy Habits::policy() const {
  RetentionPolicy policy;
  policy.last = keep_last;
  policy.labels = {"pinned"};
  policy.logbook = window;
  return policy;
}

}  // namespace lifeboat::vault::simulation
