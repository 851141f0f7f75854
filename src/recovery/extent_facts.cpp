#include "recovery/extent_facts.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace lifeboat::recovery {
namespace {

using nlohmann::json;

constexpr std::size_t kMostAttributes = 16 * 1024;
constexpr std::string_view kKafka = "kafka/";

template <typename List, typename Cells>
void put_list(std::string& out, std::string_view name, const List& list, Cells&& cells) {
  if (list.empty()) return;
  out += out.empty() ? "{\"" : ",\"";
  out += name;
  char before = '[';
  out += "\":";
  for (const auto& one : list) {
    out += before;
    cells(one);
    before = ',';
  }
  out += ']';
}

std::int64_t number(const json& list, std::size_t at) {
  return list.at(at).get<std::int64_t>();
}

kafka::RangeFacts facts_from(const json& told) {
  kafka::RangeFacts facts;
  const auto none = json::array();
  for (const auto& one : told.value("epochs", none)) {
    facts.epochs.push_back(
        {kafka::LeaderEpoch(one.at(0).get<std::int32_t>()), Offset(number(one, 1))});
  }
  for (const auto& one : told.value("aborted", none)) {
    facts.aborted.push_back({number(one, 0), Offset(number(one, 1)), Offset(number(one, 2))});
  }
  for (const auto& one : told.value("open", none)) {
    facts.open.push_back({number(one, 0), Offset(number(one, 1))});
  }
  for (const auto& one : told.value("ended", none)) {
    auto marker = one.at(2).get<int>() == 0 ? kafka::Marker::abort : kafka::Marker::commit;
    facts.ended.push_back({number(one, 0), Offset(number(one, 1)), marker});
  }
  return facts;
}

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

std::optional<std::string> merge_kafka(const vault::Extent& a, const vault::Extent& b) {
  if (a.attributes_json.empty() && b.attributes_json.empty()) return std::string();
  auto facts = parse_attributes(a.attributes_json), more = parse_attributes(b.attributes_json);
  if (!facts || !more) {
    if (a.attributes_json == b.attributes_json) return a.attributes_json;
    return std::nullopt;
  }
  auto merged = to_attributes(add_up(std::move(*facts), Offset(b.base.value), *more));
  if (merged == kLookIntoBatches) return std::nullopt;  // apart both can tell
  return merged;
}

}  // namespace

std::string to_attributes(const kafka::RangeFacts& facts) {
  std::string out;
  auto to = std::back_inserter(out);
  put_list(out, "epochs", facts.epochs,
           [&](const auto& one) { fmt::format_to(to, "[{},{}]", one.epoch, one.first); });
  put_list(out, "aborted", facts.aborted, [&](const auto& one) {
    fmt::format_to(to, "[{},{},{}]", one.producer_id, one.first, one.end);
  });
  put_list(out, "open", facts.open,
           [&](const auto& one) { fmt::format_to(to, "[{},{}]", one.producer_id, one.first); });
  put_list(out, "ended", facts.ended, [&](const auto& one) {
    fmt::format_to(to, "[{},{},{}]", one.producer_id, one.end, static_cast<int>(one.marker));
  });
  if (!out.empty()) out += '}';
  return out.size() > kMostAttributes ? std::string(kLookIntoBatches) : out;
}

std::optional<kafka::RangeFacts> parse_attributes(std::string_view attributes) {
  if (attributes.empty()) return kafka::RangeFacts();
  try {
    auto told = json::parse(attributes);
    if (told.contains("transactions")) return std::nullopt;
    return facts_from(told);
  } catch (const json::exception&) {
    return std::nullopt;  // the batches know
  }
}

vault::LogPolicy log_policy() {
  vault::LogPolicy policy;
  policy.merge_attributes = [](const vault::Extent& a,
                               const vault::Extent& b) -> std::optional<std::string> {
    if (a.log.value.starts_with(kKafka)) return merge_kafka(a, b);
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
