#pragma once

#include <string_view>

namespace lifeboat::vault::simulation {

// A contract that the store breaks, or a rule that a program does: the simulation must find each.
enum class Mischief {
  none,
  swaps_blindly,        // put_if_unchanged() replaces whatever is there
  overwrites,           // put_if_absent() does
  loses_writes,         // a write is told to have happened, now and then it did not
  reads_stale,          // what was replaced within the hour is read as it was, now and then
  hides_fresh,          // a listing lacks what was written within the hour
  lists_incompletely,   // a listing lacks an object now and then
  hides_words,          // from backups: those of pruners
  hides_others_words,   // from pruners: those of each other
  forgets_open_points,  // pruners see points only when they are whole
  opens_late,           // backups read words and list packs before they open their point
  removes_early,        // pruners wait for a minute, not for the grace period
  hides_signs,          // pruners see open points as they were when they were opened
  names_pruned_logs,    // backups do not ask what is about to be pruned of the logbook
  forgets_pruned_logs,  // what was pruned of the logbook is not written down
  replaces_unread,      // verifies replace records that they did not read
  publishes_unlocked,   // backups do not lock again the packs that they rely on
  loses_locks,          // a lock is told to have been made longer, now and then it was not
  ignores_locks,        // pruners ask nobody what is locked
  // These five are about pins:
  ignores_pins,         // pruners see none
  looks_at_pins_first,  // pruners see pins as they were some time before they looked at the points
  forgets_old_pins,     // pruners do not see old pins, and do not revoke them
  pins_late,            // restores look at their point before they pin it
  goes_on_unseen,       // restores that were killed before they looked go on without a look
};
std::string_view to_string(Mischief mischief);
bool is_about_pins(Mischief mischief);

}  // namespace lifeboat::vault::simulation
