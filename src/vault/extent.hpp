#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"

namespace lifeboat::vault {

// Which ordered log: "kafka/<cluster id>/<topic id>/<topic>/<partition>" or
// "postgres/<system identifier>/<timeline, 8 hex digits>". A re-created topic or another timeline
// is another log. 1 to 1024 bytes of printable ASCII.
struct LogName {
  std::string value;
  friend auto operator<=>(const LogName&, const LogName&) = default;
};

// Positions begin at 0, and a range holds one at least: so its length is a number, whoever wrote it.
inline bool valid_range(Position from, Position to) {
  return from >= Position(0) && from < to;
}

// A contiguous range [base, next) of a log. Of record batches the range is that of their offsets;
// of WAL it is the bytes themselves (next - base = number of bytes).
struct Extent {
  LogName log;
  Position base;
  Position next;
  Timestamp min_time;  // of its records; of their arrival where records have no time
  Timestamp max_time;
  std::string attributes_json;  // small, free for the source (leader epoch…); may be empty
};

// Some of an extent's bytes.
struct ExtentBytes {
  std::string_view bytes;
  // They lie in it: whoever keeps the piece holds it instead of copying them. Null: the bytes are
  // only there during the call.
  std::shared_ptr<const std::string> buffer{};
  std::optional<std::uint32_t> crc32c{};  // of the bytes, when it is known already
};

// What could not be had: [from, to) of the log is lost for this vault.
struct Gap {
  LogName log;
  Position from;
  Position to;
  std::string why;
};

struct Range {
  Position from;
  Position to;
  friend bool operator==(const Range&, const Range&) = default;
};

// What the vault holds of a log. Ranges and holes are sorted and alternate; together they go from
// the first position known to the last.
struct Hole {
  Range range;
  bool recorded = false;  // as a gap, all of it or a part
  std::string why;        // of the gap
  bool pruned = false;    // given up by retention. Neither: something is missing unexpectedly
};
struct Coverage {
  std::vector<Range> ranges;
  std::vector<Hole> holes;
};

}  // namespace lifeboat::vault
