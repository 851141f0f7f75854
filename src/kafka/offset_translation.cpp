#include "kafka/offset_translation.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

constexpr const char* kSubject = "offset translation";

[[noreturn]] void corrupt(std::string message) {
  throw Error(Code::corrupt, kSubject, std::move(message));
}

}  // namespace

void OffsetTranslation::add(Offset old_base, Offset old_next, Offset new_base) {
  if (old_base < Offset(0) || new_base < Offset(0) || old_next <= old_base ||
      old_next - old_base > std::numeric_limits<std::int64_t>::max() - new_base.value) {
    corrupt(fmt::format("[{}, {}) at {} is no range", old_base, old_next, new_base));
  }
  if (new_base < new_end() || (!ranges_.empty() && old_base < ranges_.back().old_next)) {
    corrupt(fmt::format("[{}, {}) at {} lies before the end of the table", old_base, old_next,
                        new_base));
  }
  if (!ranges_.empty() && ranges_.back().old_next == old_base && new_end() == new_base) {
    ranges_.back().old_next = old_next;
    return;
  }
  ranges_.push_back({old_base, old_next, new_base});
}

Offset OffsetTranslation::translate(Offset old) const {
  const auto after = [](const Range& range, Offset position) { return range.old_next <= position; };
  const auto range = std::lower_bound(ranges_.begin(), ranges_.end(), old, after);
  if (range == ranges_.end()) return new_end();
  return old <= range->old_base ? range->new_base : range->new_base + (old - range->old_base);
}

Offset OffsetTranslation::new_end() const {
  return ranges_.empty() ? new_start_ : ranges_.back().new_next();
}

std::optional<Offset> OffsetTranslation::old_end() const {
  if (ranges_.empty()) return std::nullopt;
  return ranges_.back().old_next;
}

std::string OffsetTranslation::serialise() const {
  auto ranges = nlohmann::json::array();
  for (const Range& range : ranges_) {
    ranges.push_back({range.old_base.value, range.old_next.value, range.new_base.value});
  }
  return nlohmann::json{{"v", 1}, {"start", new_start_.value}, {"ranges", ranges}}.dump();
}

OffsetTranslation OffsetTranslation::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("v")) corrupt("is not a table");
  if (json["v"] != 1) throw Error(Code::unsupported, kSubject, "has a version that is not known");
  const auto start = json.find("start");
  const auto ranges = json.find("ranges");
  if (start == json.end() || !start->is_number_integer() || ranges == json.end() ||
      !ranges->is_array()) {
    corrupt("misses start or ranges");
  }
  OffsetTranslation table(Offset(start->get<std::int64_t>()));
  for (const auto& range : *ranges) {
    const auto whole = [](const nlohmann::json& number) { return number.is_number_integer(); };
    if (!range.is_array() || range.size() != 3 || !std::all_of(range.begin(), range.end(), whole)) {
      corrupt("has a range that is not three numbers");
    }
    const auto offset = [&](std::size_t i) { return Offset(range[i].get<std::int64_t>()); };
    table.add(offset(0), offset(1), offset(2));
  }
  return table;
}

}  // namespace lifeboat::kafka
