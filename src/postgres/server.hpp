#pragma once

#include <optional>
#include <string>
#include <vector>

#include "postgres/connection.hpp"

namespace lifeboat::postgres {

struct SystemInfo {
  std::uint64_t system_identifier = 0;
  TimelineId timeline;
  Lsn flush_lsn;
  int server_version = 0;  // 150004 is 15.4
  ByteCount wal_segment_size;
};
// IDENTIFY_SYSTEM; needs the REPLICATION privilege.
SystemInfo identify(const Config& config, const Cancel& cancel = no_cancel());
SystemInfo identify(Connection& replication);

// One line of `lifeboat check`. `warning`: not ok, but a backup can be taken.
struct Finding {
  std::string name;
  bool ok = false;
  bool warning = false;
  std::string what;
  std::string hint;  // "" when ok
};
// Version, wal_level, free walsenders and slots, REPLICATION privilege, max_slot_wal_keep_size,
// full_page_writes, data checksums. A server that cannot be reached is a finding, not an error.
std::vector<Finding> check(const Config& config, const Cancel& cancel = no_cancel());

enum class SlotActivity { absent, inactive, active };
struct SlotState {
  SlotActivity activity = SlotActivity::absent;
  std::optional<int> pid;          // of the walsender, when active
  std::optional<Lsn> restart_lsn;  // oldest WAL that it keeps; nullopt: reserves nothing, or lost
  std::string wal_status;          // reserved, extended, unreserved, lost
};
SlotState slot_state(const Config& config, std::string_view slot,
                     const Cancel& cancel = no_cancel());
// Physical, reserving WAL at once. Nothing happens when it is there already; one that has lost its
// WAL (or never reserved any) is made again. Returns what it then keeps.
SlotState ensure_slot(const Config& config, std::string_view slot,
                      const Cancel& cancel = no_cancel());
// The same on an open replication connection; returns its restart_lsn.
Lsn ensure_slot(Connection& replication, std::string_view slot);
// False when it was not there. Error(refused) while somebody streams from it.
bool drop_slot(const Config& config, std::string_view slot, const Cancel& cancel = no_cancel());

// Ends the current WAL segment; returns the end of its last record. Needs a superuser, or EXECUTE
// on pg_switch_wal(); nothing else here needs more than the REPLICATION privilege.
Lsn switch_wal(const Config& config, const Cancel& cancel = no_cancel());
// What is flushed on a primary (every commit that was acknowledged lies below it, unless the client
// set synchronous_commit=off), what is replayed on a standby.
Lsn current_lsn(const Config& config, const Cancel& cancel = no_cancel());

}  // namespace lifeboat::postgres
