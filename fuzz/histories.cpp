#include "fuzz/targets.hpp"
#include "postgres/timeline_plan.hpp"

// The first byte says what follows: the text of a timeline's history, and what is decided by it; or
// the name of a file in pg_wal.
namespace lifeboat::fuzz {
namespace {

constexpr ByteCount kSegment{16u << 20};

void history(std::string_view text) {
  const auto ancestors = postgres::parse_history(text);
  const TimelineId current(0xffffffff);
  for (std::size_t i = 0; i < ancestors.size(); ++i) {
    const auto& one = ancestors[i];
    if (postgres::timeline_end(ancestors, one.timeline) != one.end) broken("another end");
    if (!postgres::next_timeline(ancestors, current, one.timeline, kSegment)) {
      broken("a timeline without a child");
    }
    const auto own = postgres::history_of_ancestor(text, one.timeline);
    if (!own || !text.starts_with(*own)) broken("an ancestor without a history");
    if (taken([&] { return postgres::parse_history(*own); }).size() != i) {
      broken("an ancestor's history is another one");
    }
    const auto held = [&](TimelineId timeline) -> std::optional<Lsn> {
      if (timeline == one.timeline) return one.end;
      return std::nullopt;
    };
    postgres::plan_start(ancestors, current, held, one.end, kSegment);
  }
}

void file_name(std::string_view name) {
  const auto segment = postgres::parse_wal_file_name(name, kSegment);
  const auto timeline = postgres::parse_history_file_name(name);
  if (segment && postgres::wal_file_name(segment->timeline, segment->start, kSegment) != name) {
    broken("another segment");
  }
  if (timeline && postgres::history_file_name(*timeline) != name) broken("another history");
  const postgres::WalPosition from{TimelineId(1), Lsn(0)};
  postgres::oldest_available({std::string(name)}, from, Lsn(1ull << 40), TimelineId(2), kSegment);
  if (!segment && !timeline) throw Error(Code::corrupt, "pg_wal", "is no name of its files");
}

}  // namespace

void histories(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.substr(1);
  return bytes[0] % 2 == 0 ? history(rest) : file_name(rest);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(histories)
