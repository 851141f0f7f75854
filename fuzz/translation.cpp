#include "fuzz/targets.hpp"
#include "kafka/offset_translation.hpp"

namespace lifeboat::fuzz {

void translation(std::string_view bytes) {
  const auto table = kafka::OffsetTranslation::parse(bytes);
  if (kafka::OffsetTranslation::parse(table.serialise()) != table) broken("it does not come back");
  for (const auto& range : table.ranges()) {
    if (table.translate(range.old_base) != range.new_base) broken("a range is not translated");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(translation)
