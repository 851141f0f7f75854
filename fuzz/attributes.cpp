#include "fuzz/targets.hpp"
#include "recovery/extent_attributes.hpp"

// The attributes of two extents of a log, one after the other, parted by a line end.
namespace lifeboat::fuzz {
namespace {

constexpr Offset kMiddle{4};

std::optional<kafka::RangeFacts> facts_of(std::string_view attributes) {
  auto facts = recovery::parse_attributes(attributes);
  if (!facts) return std::nullopt;
  const auto text = recovery::to_attributes(*facts);
  if (text != recovery::kLookIntoBatches && recovery::parse_attributes(text) != facts) {
    broken("facts do not come back");
  }
  return facts;
}

}  // namespace

void attributes(std::string_view bytes) {
  const auto end = bytes.find('\n');
  const std::string first(bytes.substr(0, end));
  const std::string second(end == std::string_view::npos ? "" : bytes.substr(end + 1));
  const auto facts = facts_of(first), more = facts_of(second);
  const auto merged = recovery::merge_attributes(first, kMiddle, second);
  if (!facts || !more) throw Error(Code::corrupt, "attributes", "say nothing");
  if (merged && recovery::parse_attributes(*merged) != add_up(*facts, kMiddle, *more)) {
    broken("merged attributes tell something else than the facts added up");
  }
  kafka::TransactionSum sum;
  sum.add(Offset(0), kMiddle, *facts);
  sum.add(kMiddle, Offset(9), *more);
  sum.never_committed();
  sum.open_before(kMiddle);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(attributes)
