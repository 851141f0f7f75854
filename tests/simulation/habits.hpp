#pragma once

#include "base/random.hpp"
#include "base/types.hpp"
#include "vault/retention_policy.hpp"

namespace lifeboat::vault::simulation {

constexpr Millis kMinute{60'000};
constexpr Millis kGrace = 60 * kMinute;
constexpr Millis kDay = 24 * kGrace;

enum class Focus {
  all,
  window,  // several pruners, and a window of the logbook, in each
};

// How things are in one simulation.
struct Habits {
  unsigned writers, pruners, readers, verifiers;
  unsigned archivers = 0, keepers = 0;
  unsigned restorers = 0;  // who pin their point
  unsigned lives;          // of each
  unsigned dies_in;        // one of so many lives is cut short
  unsigned stay;           // of ten turns
  unsigned keep_last;      // of the policy
  int weather;             // 0 none, 1 errors, 2 worse
  bool retries;
  enum class Clocks { right, off, stepping } clocks;
  bool encrypted;
  bool beats;                // backups give signs of life, and some are slow
  bool keeps_proofs;         // verifies do
  Millis pin_life = kGrace;  // without a sign of life
  Millis window{0};          // of the logbook; 0: all of it is kept
  Millis retain{0};          // of Object Lock; 0: there is none
  Millis between = kGrace;   // two lives, at most

  Habits(Random& chance, Focus focus);
  // Much is pinned and pruned, and nothing else happens.
  void be_about_pins();

  Millis farthest_off() const;  // clocks
  RetentionPolicy policy() const;
};

}  // namespace lifeboat::vault::simulation
