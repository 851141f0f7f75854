#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"

// Names in pg_wal and the text of .history files (src/include/access/xlog_internal.h and
// src/backend/access/transam/timeline.c of PostgreSQL). Pure functions.
namespace lifeboat::postgres {

// A segment size that PostgreSQL can have: a power of two, 1 MiB to 1 GiB. Everything below throws
// Error(corrupt) for another one.
bool valid_segment_size(ByteCount size);

// A segment holds the half-open range [segment_start, segment_end) around an LSN.
Lsn segment_start(Lsn lsn, ByteCount segment_size);
Lsn segment_end(Lsn lsn, ByteCount segment_size);

// "000000010000000000000003": the file that holds the byte at `lsn`.
std::string wal_file_name(TimelineId timeline, Lsn lsn, ByteCount segment_size);
// "00000002.history"
std::string history_file_name(TimelineId timeline);

struct WalFileName {
  TimelineId timeline;
  Lsn start;  // first byte of the segment
  friend bool operator==(const WalFileName&, const WalFileName&) = default;
};
// nullopt when it is not the plain name of a segment (".partial" and ".backup" are not).
std::optional<WalFileName> parse_wal_file_name(std::string_view name, ByteCount segment_size);
// The timeline of "00000002.history"; nullopt when it is another name.
std::optional<TimelineId> parse_history_file_name(std::string_view name);

// One line of a history file: `timeline` was left at `end` (its bytes [.., end) are shared).
struct TimelineSwitch {
  TimelineId timeline;
  Lsn end;
  friend bool operator==(const TimelineSwitch&, const TimelineSwitch&) = default;
};
// The ancestors, oldest first. Error(corrupt): unreadable lines, timelines or LSNs that go back,
// more than 1 MiB.
std::vector<TimelineSwitch> parse_history(std::string_view file);

// The history file of `ancestor`, cut out of a descendant's: a child's file is its parent's file
// and one line more. nullopt when `ancestor` is not in it.
std::optional<std::string> history_of_ancestor(std::string_view file, TimelineId ancestor);

}  // namespace lifeboat::postgres
