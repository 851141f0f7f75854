#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/types.hpp"

namespace lifeboat::kafka {

// Where the records of one log lie after it was produced again elsewhere. Pure.
class OffsetTranslation {
 public:
  struct Range {  // old offsets [old_base, old_next) lie at new_base and on
    Offset old_base;
    Offset old_next;
    Offset new_base;
    Offset new_next() const { return new_base + (old_next - old_base); }
    friend auto operator<=>(const Range&, const Range&) = default;
  };

  // An empty table says that the new log ends (and starts) at `new_start`.
  explicit OffsetTranslation(Offset new_start = Offset(0)) : new_start_(new_start) {}

  // Ranges come in order, on both sides; ranges that continue one another are merged.
  // Error(corrupt) when they do not.
  void add(Offset old_base, Offset old_next, Offset new_base);

  // The new position that makes a consumer go on with the same record: exact inside a range; in a
  // hole the next kept record; past everything kept, the new end.
  Offset translate(Offset old) const;

  Offset new_end() const;
  std::optional<Offset> old_end() const;  // nullopt: empty
  const std::vector<Range>& ranges() const { return ranges_; }

  // Compact JSON: {"v":1,"start":0,"ranges":[[old_base,old_next,new_base],…]}.
  std::string serialise() const;
  static OffsetTranslation parse(std::string_view json);  // Error(corrupt), Error(unsupported)

  friend bool operator==(const OffsetTranslation&, const OffsetTranslation&) = default;

 private:
  Offset new_start_;
  std::vector<Range> ranges_;
};

}  // namespace lifeboat::kafka
