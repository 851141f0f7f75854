#include "simulation/mischief.hpp"

namespace lifeboat::vault::simulation {

std::string_view to_string(Mischief mischief) {
  switch (mischief) {
    case Mischief::none:
      break;
    case Mischief::swaps_blindly:
      return "SwapsBlindly";
    case Mischief::overwrites:
      return "Overwrites";
    case Mischief::loses_writes:
      return "LosesWrites";
    case Mischief::reads_stale:
      return "ReadsStale";
    case Mischief::hides_fresh:
      return "HidesFreshObjects";
    case Mischief::lists_incompletely:
      return "ListsIncompletely";
    case Mischief::hides_words:
      return "HidesWords";
    case Mischief::hides_others_words:
      return "HidesOthersWords";
    case Mischief::forgets_open_points:
      return "ForgetsOpenPoints";
    case Mischief::opens_late:
      return "OpensLate";
    case Mischief::removes_early:
      return "RemovesEarly";
    case Mischief::hides_signs:
      return "HidesSigns";
    case Mischief::names_pruned_logs:
      return "NamesPrunedLogs";
    case Mischief::forgets_pruned_logs:
      return "ForgetsPrunedLogs";
    case Mischief::replaces_unread:
      return "ReplacesUnread";
    case Mischief::publishes_unlocked:
      return "PublishesUnlocked";
    case Mischief::loses_locks:
      return "LosesLocks";
    case Mischief::ignores_locks:
      return "IgnoresLocks";
    case Mischief::ignores_pins:
      return "IgnoresPins";
    case Mischief::looks_at_pins_first:
      return "LooksAtPinsFirst";
    case Mischief::forgets_old_pins:
      return "ForgetsOldPins";
    case Mischief::pins_late:
      return "PinsLate";
    case Mischief::goes_on_unseen:
      return "GoesOnUnseen";
  }
  return "None";
}

bool is_about_pins(Mischief mischief) {
  return mischief >= Mischief::ignores_pins && mischief <= Mischief::goes_on_unseen;
}

}  // namespace lifeboat::vault::simulation
