#include "postgres/wal_file.hpp"

#include <charconv>

#include "base/error.hpp"

namespace lifeboat::postgres {

namespace {

constexpr std::size_t kHistoryLimit = 1 << 20;
constexpr std::string_view kHistorySuffix = ".history";

void check_segment_size(ByteCount size) {
  if (valid_segment_size(size)) return;
  throw Error(Code::corrupt, "WAL", fmt::format("not a WAL segment size: {}", size));
}

std::uint64_t segments_per_log(ByteCount size) {
  return 0x100000000ull / size.value;
}

// Exactly eight of 0-9 and A-F.
std::optional<std::uint32_t> parse_hex8(std::string_view text) {
  if (text.size() != 8) return std::nullopt;
  if (text.find_first_not_of("0123456789ABCDEF") != std::string_view::npos) return std::nullopt;
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::string_view take_word(std::string_view& line) {
  const auto end = line.find_first_of(" \t");
  const auto word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view() : trim(line.substr(end));
  return word;
}

// nullopt: a blank line or a comment.
std::optional<TimelineSwitch> parse_history_line(std::string_view line) {
  line = trim(line);
  if (line.empty() || line.front() == '#') return std::nullopt;
  const auto id = take_word(line);
  const auto lsn = parse_lsn(take_word(line));
  std::uint32_t timeline = 0;
  const auto [at, error] = std::from_chars(id.data(), id.data() + id.size(), timeline);
  if (error != std::errc() || at != id.data() + id.size() || timeline == 0 || !lsn) {
    throw Error(Code::corrupt, "timeline history", "a line that is no timeline and LSN");
  }
  return TimelineSwitch{TimelineId(timeline), *lsn};
}

}  // namespace

bool valid_segment_size(ByteCount size) {
  const auto n = size.value;
  return n >= (1u << 20) && n <= (1u << 30) && (n & (n - 1)) == 0;
}

Lsn segment_start(Lsn lsn, ByteCount segment_size) {
  check_segment_size(segment_size);
  return Lsn(lsn.value & ~(segment_size.value - 1));
}

Lsn segment_end(Lsn lsn, ByteCount segment_size) {
  return segment_start(lsn, segment_size) + segment_size.value;
}

std::string wal_file_name(TimelineId timeline, Lsn lsn, ByteCount segment_size) {
  check_segment_size(segment_size);
  const auto number = lsn.value / segment_size.value;
  const auto per_log = segments_per_log(segment_size);
  return fmt::format("{:08X}{:08X}{:08X}", timeline, number / per_log, number % per_log);
}

std::string history_file_name(TimelineId timeline) {
  return fmt::format("{:08X}{}", timeline, kHistorySuffix);
}

std::optional<WalFileName> parse_wal_file_name(std::string_view name, ByteCount segment_size) {
  check_segment_size(segment_size);
  if (name.size() != 24) return std::nullopt;
  const auto timeline = parse_hex8(name.substr(0, 8));
  const auto log = parse_hex8(name.substr(8, 8));
  const auto segment = parse_hex8(name.substr(16, 8));
  if (!timeline || !log || !segment || *timeline == 0) return std::nullopt;
  if (*segment >= segments_per_log(segment_size)) return std::nullopt;
  const auto start = (static_cast<std::uint64_t>(*log) << 32) + *segment * segment_size.value;
  return WalFileName{TimelineId(*timeline), Lsn(start)};
}

std::optional<TimelineId> parse_history_file_name(std::string_view name) {
  if (name.size() != 16 || name.substr(8) != kHistorySuffix) return std::nullopt;
  const auto timeline = parse_hex8(name.substr(0, 8));
  if (!timeline || *timeline == 0) return std::nullopt;
  return TimelineId(*timeline);
}

std::vector<TimelineSwitch> parse_history(std::string_view file) {
  if (file.size() > kHistoryLimit) {
    throw Error(Code::corrupt, "timeline history", "longer than 1 MiB");
  }
  std::vector<TimelineSwitch> switches;
  while (!file.empty()) {
    const auto found = parse_history_line(take_line(file));
    if (!found) continue;
    if (!switches.empty() &&
        (found->timeline <= switches.back().timeline || found->end < switches.back().end)) {
      throw Error(Code::corrupt, "timeline history", "timelines or LSNs are not in order");
    }
    switches.push_back(*found);
  }
  return switches;
}

std::optional<std::string> history_of_ancestor(std::string_view file, TimelineId ancestor) {
  auto rest = file;
  while (!rest.empty()) {
    const auto before = file.size() - rest.size();
    const auto found = parse_history_line(take_line(rest));
    if (found && found->timeline == ancestor) return std::string(file.substr(0, before));
  }
  return std::nullopt;
}

}  // namespace lifeboat::postgres
