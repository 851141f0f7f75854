#include "recovery/extent_facts.hpp"

#include "recovery/extent_attributes.hpp"

namespace lifeboat::recovery {
namespace {

constexpr std::string_view kKafka = "kafka/";

// The extent's facts by its batches; all copies of the range that can be read serve.
kafka::RangeFacts look_into(const vault::Logbook& logbook, const vault::Extent& extent) {
  kafka::RangeFacts facts;
  bool first = true;
  logbook.read(extent.log, extent.base, extent.next, [&](const vault::ExtentView& view) {
    auto split = kafka::split_batches(view.bytes);
    std::erase_if(split.batches, [&](const kafka::BatchView& batch) {
      return batch.base_offset().value >= view.wanted_to.value;
    });
    auto more = kafka::facts_of(split.batches);
    facts = first ? std::move(more) : add_up(std::move(facts), Offset(view.base.value), more);
    first = false;
  });
  return facts;
}

}  // namespace

vault::LogPolicy log_policy() {
  vault::LogPolicy policy;
  policy.merge_attributes = [](const vault::Extent& a,
                               const vault::Extent& b) -> std::optional<std::string> {
    if (a.log.value.starts_with(kKafka)) {
      return merge_attributes(a.attributes_json, Offset(b.base.value), b.attributes_json);
    }
    if (a.attributes_json != b.attributes_json) return std::nullopt;
    return a.attributes_json;
  };
  // Producers compress, or chose not to: the archive keeps up with them first of all.
  policy.compress = [](const vault::LogName& log) { return !log.value.starts_with(kKafka); };
  return policy;
}

kafka::TransactionSum transactions_of(const vault::Logbook& logbook, const vault::LogName& log,
                                      Position from, Position to) {
  kafka::TransactionSum sum;
  for (const auto& extent : logbook.extents(log)) {
    if (extent.next <= from || extent.next.value <= sum.next().value) continue;
    if (extent.base >= to && !sum.open_before(Offset(to.value))) break;
    auto facts = parse_attributes(extent.attributes_json);
    sum.add(Offset(extent.base.value), Offset(extent.next.value),
            facts ? *facts : look_into(logbook, extent));
  }
  return sum;
}

}  // namespace lifeboat::recovery
