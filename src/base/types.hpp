#pragma once

#include <fmt/format.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lifeboat {

// An integer with a meaning. Explicit in and out; ordered; `+ n` and `a - b` where the thing is a
// position in a log.
template <typename Tag, typename Rep>
struct Strong {
  Rep value{};

  constexpr Strong() = default;
  explicit constexpr Strong(Rep v) : value(v) {}
  friend constexpr auto operator<=>(const Strong&, const Strong&) = default;
  constexpr Strong operator+(Rep n) const { return Strong(value + n); }
  constexpr Rep operator-(Strong other) const { return value - other.value; }
};

// Position in an ordered log: a Kafka offset or a byte of WAL. Ranges are half-open: [base, next).
using Position = Strong<struct PositionTag, std::int64_t>;
// Kafka offset of a record in a partition (>= 0).
using Offset = Strong<struct OffsetTag, std::int64_t>;
// Kafka partition index within its topic (>= 0).
using PartitionId = Strong<struct PartitionTag, std::int32_t>;
// PostgreSQL log sequence number: a byte position in the WAL.
using Lsn = Strong<struct LsnTag, std::uint64_t>;
// PostgreSQL timeline (>= 1).
using TimelineId = Strong<struct TimelineTag, std::uint32_t>;
// A size in bytes.
using ByteCount = Strong<struct ByteCountTag, std::uint64_t>;
// Milliseconds since the Unix epoch, UTC.
using Timestamp = Strong<struct TimestampTag, std::int64_t>;

using Millis = std::chrono::milliseconds;

// "16/B374D848", as PostgreSQL prints an LSN. parse_lsn: nullopt when it is not one.
std::string to_string(Lsn lsn);
std::optional<Lsn> parse_lsn(std::string_view text);

// "2026-11-22T17:05:06.123Z". parse_timestamp also takes no milliseconds, a blank for the T, and a
// zone such as +02:00; without a zone the time is UTC. nullopt when it is not a time.
std::string to_string(Timestamp t);
std::optional<Timestamp> parse_timestamp(std::string_view text);

}  // namespace lifeboat

template <typename Tag, typename Rep>
struct std::hash<lifeboat::Strong<Tag, Rep>> {
  std::size_t operator()(const lifeboat::Strong<Tag, Rep>& s) const noexcept {
    return std::hash<Rep>{}(s.value);
  }
};

// Strong integers print as their number; LSNs and timestamps by to_string().
template <typename Tag, typename Rep>
struct fmt::formatter<lifeboat::Strong<Tag, Rep>> : fmt::formatter<Rep> {
  template <typename Context>
  auto format(const lifeboat::Strong<Tag, Rep>& s, Context& context) const {
    return fmt::formatter<Rep>::format(s.value, context);
  }
};
