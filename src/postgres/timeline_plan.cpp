#include "postgres/timeline_plan.hpp"

namespace lifeboat::postgres {

std::optional<Lsn> timeline_end(const std::vector<TimelineSwitch>& ancestors, TimelineId timeline) {
  for (const auto& ancestor : ancestors) {
    if (ancestor.timeline == timeline) return ancestor.end;
  }
  return std::nullopt;
}

std::optional<WalPosition> next_timeline(const std::vector<TimelineSwitch>& ancestors,
                                         TimelineId current, TimelineId timeline,
                                         ByteCount segment_size) {
  for (std::size_t i = 0; i < ancestors.size(); ++i) {
    if (ancestors[i].timeline != timeline) continue;
    const auto child = i + 1 < ancestors.size() ? ancestors[i + 1].timeline : current;
    return WalPosition{child, segment_start(ancestors[i].end, segment_size)};
  }
  return std::nullopt;
}

WalPosition plan_start(const std::vector<TimelineSwitch>& ancestors, TimelineId current,
                       const HeldFunction& held, Lsn slot_lsn, ByteCount segment_size) {
  if (const auto lsn = held(current)) return {current, *lsn};
  for (auto ancestor = ancestors.rbegin(); ancestor != ancestors.rend(); ++ancestor) {
    const auto lsn = held(ancestor->timeline);
    if (!lsn) continue;
    if (*lsn < ancestor->end) return {ancestor->timeline, *lsn};
    return *next_timeline(ancestors, current, ancestor->timeline, segment_size);
  }
  for (const auto& ancestor : ancestors) {
    if (slot_lsn < ancestor.end) {
      return {ancestor.timeline, segment_start(slot_lsn, segment_size)};
    }
  }
  return {current, segment_start(slot_lsn, segment_size)};
}

std::optional<Lsn> oldest_available(const std::vector<std::string>& names, WalPosition from,
                                    Lsn limit, std::optional<TimelineId> child,
                                    ByteCount segment_size) {
  std::optional<Lsn> oldest;
  for (const auto& name : names) {
    const auto file = parse_wal_file_name(name, segment_size);
    if (!file || file->start <= from.lsn || file->start >= limit) continue;
    const bool own = file->timeline == from.timeline;
    const bool shared =
        file->timeline == child && file->start == segment_start(limit, segment_size);
    if ((own || shared) && (!oldest || file->start < *oldest)) oldest = file->start;
  }
  return oldest;
}

}  // namespace lifeboat::postgres
