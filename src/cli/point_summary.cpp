#include "cli/point_summary.hpp"

#include <fmt/format.h>

#include "cli/output.hpp"

namespace lifeboat::cli {
namespace {

// Documents of a newer or older Lifeboat may lack a member, or have it elsewhere: then it is not
// shown, which is no error here.
template <typename T>
std::optional<T> find_member(const nlohmann::json& json, const std::string& name) {
  if (!json.is_structured()) return std::nullopt;
  for (const auto& [key, value] : json.items()) {
    if constexpr (std::is_same_v<T, bool>) {
      if (key == name && value.is_boolean()) return value.template get<T>();
    } else {
      if (key == name && value.is_number()) return value.template get<T>();
    }
    if (auto below = find_member<T>(value, name)) return below;
  }
  return std::nullopt;
}

}  // namespace

PointSummary summarize(const vault::RecoveryPoint& point) {
  PointSummary summary;
  if (!point.stores.is_object()) return summary;
  for (const auto& [store, document] : point.stores.items()) {
    summary.stores.push_back(store);
    if (store != "clickhouse") continue;
    summary.exact = find_member<bool>(document, "exact");
    summary.held_seconds = find_member<double>(document, "held_seconds");
  }
  return summary;
}

nlohmann::json summary_json(const vault::RecoveryPoint& point) {
  auto summary = summarize(point);
  nlohmann::json out{{"id", point.id},
                     {"created", to_string(point.created)},
                     {"finished", to_string(point.finished)},
                     {"label", point.label},
                     {"stores", summary.stores}};
  if (summary.exact) out["exact"] = *summary.exact;
  if (summary.held_seconds) out["held_seconds"] = *summary.held_seconds;
  return out;
}

namespace {

// Days, or minutes of one day.
std::string format_whole(const nlohmann::json& whole) {
  auto from = whole.at("from").get<std::string>(), to = whole.at("to").get<std::string>();
  const bool one_day = from.substr(0, 10) == to.substr(0, 10);
  from.resize(one_day ? 16 : 10);
  return "all data between " + from + " and " + to.substr(0, from.size());
}

}  // namespace

std::string format_proof(const nlohmann::json& proof, Timestamp now) {
  auto time = [&](const char* member) -> std::optional<Timestamp> {
    if (!proof.contains(member) || !proof.at(member).is_string()) return std::nullopt;
    return parse_timestamp(proof.at(member).get<std::string>());
  };
  if (auto at = time("at")) {
    return fmt::format("{} {} ({})", proof.at("state").get<std::string>(), format_age(*at, now),
                       proof.at("depth").get<std::string>());
  }
  std::string out;
  std::optional<Timestamp> newest;
  for (const char* depth : {"data", "sample", "existence"}) {
    auto at = time(depth);
    if (!at || (newest && *at <= *newest)) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", depth, format_age(*at, now));
    newest = at;
  }
  if (proof.contains("whole")) out += "; " + format_whole(proof.at("whole"));
  return out.empty() ? "never" : out;
}

std::string format_pin(const nlohmann::json& pin) {
  if (pin.contains("problem")) return pin.at("problem").get<std::string>();
  return fmt::format("point {} {}", pin.at("point").get<std::string>(),
                     pin.at("what").get<std::string>());
}

}  // namespace lifeboat::cli
