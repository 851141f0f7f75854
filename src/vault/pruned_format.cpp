#include "vault/pruned_format.hpp"

#include "vault/logbook_format.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {

const Ranges* PrunedLogs::left_of(const LogName& log) const {
  const auto it = logs_.find(log);
  return it == logs_.end() ? nullptr : &it->second;
}

bool PrunedLogs::needs(const LogName& log, Position base, Position next) const {
  const auto* left = left_of(log);
  return left == nullptr || meets(*left, {base, next});
}

void PrunedLogs::narrow(const LogName& log, const Ranges& left) {
  auto [it, fresh] = logs_.try_emplace(log, left);
  if (!fresh) it->second = intersect(it->second, left);
}

void PrunedLogs::narrow(const PrunedLogs& others) {
  for (const auto& [log, left] : others.logs_) narrow(log, left);
}

std::string pruned_name(const std::string& id) {
  return std::string(kPrunedPrefix) + id;
}

std::string encode_pruned(const std::string& id, const PrunedLogs& logs) {
  return dump_json({{"id", id}, {"logs", to_json(logs)}}, pruned_name(id));
}

PrunedLogs open_pruned(const Sealing* sealing, const std::string& name, std::string object) {
  const auto opened = unseal(sealing, ObjectType::pruned, name, object);
  const auto json = parse_json(ObjectType::pruned, name, opened.payload);
  return read_members(ObjectType::pruned, name,
                      [&] { return pruned_from_json(ObjectType::pruned, name, json.at("logs")); });
}

nlohmann::json to_json(const PrunedLogs& logs) {
  auto out = nlohmann::json::object();
  for (const auto& [log, left] : logs.logs()) {
    auto& rows = out[log.value] = nlohmann::json::array();
    for (const auto& range : left) {
      rows.push_back({range.from.value});
      if (range.to < kLastPosition) rows.back().push_back(range.to.value);
    }
  }
  return out;
}

PrunedLogs pruned_from_json(ObjectType type, const std::string& name, const nlohmann::json& json) {
  PrunedLogs out;
  for (const auto& [log, rows] : json.items()) {
    Ranges left;
    for (const auto& row : rows) {
      const Position from(row.at(0).get<std::int64_t>());
      const Position to = row.size() > 1 ? Position(row.at(1).get<std::int64_t>()) : kLastPosition;
      if (from >= to || (!left.empty() && from <= left.back().to)) {
        throw_corrupt(type, name, "names ranges that cannot be");
      }
      left.push_back({from, to});
    }
    if (left.empty() || left.back().to != kLastPosition || !valid_log({log})) {
      throw_corrupt(type, name, "leaves nothing of a log's end");
    }
    out.narrow({log}, left);
  }
  return out;
}

}  // namespace lifeboat::vault
