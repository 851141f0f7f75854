#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "postgres/wal_file.hpp"

// Decisions about timelines, as functions from values to values.
namespace lifeboat::postgres {

struct WalPosition {
  TimelineId timeline;
  Lsn lsn;
  friend bool operator==(const WalPosition&, const WalPosition&) = default;
};

// The end of what is held of a timeline; nullopt: nothing.
using HeldFunction = std::function<std::optional<Lsn>(TimelineId)>;

// Where to go on with a server on timeline `current` with these `ancestors` (oldest first), whose
// slot keeps WAL from `slot_lsn` on: where the newest of its timelines that is held ends; when that
// one is held as far as it goes, at the beginning of its child; when nothing is held, at the start
// of the segment with `slot_lsn`.
WalPosition plan_start(const std::vector<TimelineSwitch>& ancestors, TimelineId current,
                       const HeldFunction& held, Lsn slot_lsn, ByteCount segment_size);

// The timeline after `timeline` in the history, and where it begins: at the start of the segment in
// which its parent was left. nullopt when `timeline` is `current` (or no ancestor).
std::optional<WalPosition> next_timeline(const std::vector<TimelineSwitch>& ancestors,
                                         TimelineId current, TimelineId timeline,
                                         ByteCount segment_size);

// Where `timeline` was left; nullopt when it is no ancestor.
std::optional<Lsn> timeline_end(const std::vector<TimelineSwitch>& ancestors, TimelineId timeline);

// The lowest position above `from` on its timeline whose segment is among the names of pg_wal, and
// not above `limit` (where the timeline or the server's WAL ends). The segment in which a timeline
// was left may be there under the child's name alone.
std::optional<Lsn> oldest_available(const std::vector<std::string>& names, WalPosition from,
                                    Lsn limit, std::optional<TimelineId> child,
                                    ByteCount segment_size);

}  // namespace lifeboat::postgres
