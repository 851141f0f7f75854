#include "recovery/extent_attributes.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace lifeboat::recovery {
namespace {

using nlohmann::json;

constexpr std::size_t kMostAttributes = 16 * 1024;

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

[[noreturn]] void cannot_be(const json& told) {
  throw json::other_error::create(501, "cannot be", &told);
}

// json's own conversions cut what does not fit.
template <typename T = std::int64_t>
T number(const json& cells, std::size_t at) {
  const auto& cell = cells.at(at);
  const bool fits = cell.is_number_integer() &&
                    (cell.is_number_unsigned() ? std::in_range<T>(cell.get<std::uint64_t>())
                                               : std::in_range<T>(cell.get<std::int64_t>()));
  if (!fits) cannot_be(cell);
  return cell.get<T>();
}

template <typename F>
void for_each_of(const json& told, const char* name, F&& take) {
  const auto list = told.find(name);
  if (list == told.end()) return;
  if (!list->is_array()) cannot_be(*list);
  for (const auto& cells : *list) take(cells);
}

kafka::RangeFacts facts_from(const json& told) {
  kafka::RangeFacts facts;
  if (!told.is_object()) cannot_be(told);
  for_each_of(told, "epochs", [&](const json& one) {
    facts.epochs.push_back(
        {kafka::LeaderEpoch(number<std::int32_t>(one, 0)), Offset(number(one, 1))});
  });
  for_each_of(told, "aborted", [&](const json& one) {
    facts.aborted.push_back({number(one, 0), Offset(number(one, 1)), Offset(number(one, 2))});
  });
  for_each_of(told, "open", [&](const json& one) {
    facts.open.push_back({number(one, 0), Offset(number(one, 1))});
  });
  for_each_of(told, "ended", [&](const json& one) {
    const auto marker = number(one, 2);
    if (marker != 0 && marker != 1) cannot_be(one);
    facts.ended.push_back({number(one, 0), Offset(number(one, 1)),
                           marker == 0 ? kafka::Marker::abort : kafka::Marker::commit});
  });
  return facts;
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

std::optional<std::string> merge_attributes(const std::string& attributes, Offset base,
                                            const std::string& more) {
  if (attributes.empty() && more.empty()) return std::string();
  auto facts = parse_attributes(attributes), next = parse_attributes(more);
  if (!facts || !next) return attributes == more ? std::optional(attributes) : std::nullopt;
  auto merged = to_attributes(add_up(std::move(*facts), base, *next));
  if (merged == kLookIntoBatches) return std::nullopt;
  return merged;
}

}  // namespace lifeboat::recovery
