#include "vault/point_format.hpp"

#include <fmt/format.h>

#include <functional>

#include "base/error.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

UnfinishedPoint unfinished_point(const std::string& name, const nlohmann::json& json) {
  UnfinishedPoint point;
  point.id = json.at("id").get<std::string>();
  point.created = time_of(ObjectType::point, name, json.at("created"));
  point.label = json.at("label").get<std::string>();
  point.host = json.at("host").get<std::string>();
  point.folder = json.at("folder").get<std::string>();
  point.process = json.at("process").get<std::int64_t>();
  if (json.contains("renewed")) {
    point.renewed = time_of(ObjectType::point, name, json.at("renewed"));
    point.beats = json.at("beats").get<std::uint64_t>();
  }
  const auto state = json.at("state").get<std::string>();
  if (state == "revoked") {
    point.revoked = time_of(ObjectType::point, name, json.at("revoked"));
    point.why = json.at("why").get<std::string>();
  } else if (state != "open") {
    throw Error(Code::unsupported, "point " + name, "is in a state that is unknown here: " + state,
                "install the Lifeboat that wrote it, or a newer one");
  }
  return point;
}

// Calls `visit(key, value)` for every member of every object in the document.
void for_each_member(const nlohmann::json& json,
                     const std::function<void(const std::string&, const nlohmann::json&)>& visit) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) {
      visit(key, value);
      for_each_member(value, visit);
    }
  } else if (json.is_array()) {
    for (const auto& value : json) for_each_member(value, visit);
  }
}

LogStart parse_log_start(const nlohmann::json& json) {
  LogStart out{{json.at("log").get<std::string>()},
               Position(json.at("position").get<std::int64_t>()),
               std::nullopt};
  if (json.contains("until")) out.until = Position(json.at("until").get<std::int64_t>());
  return out;
}

}  // namespace

std::string point_name(const std::string& id) {
  return "points/" + id;
}

nlohmann::json to_json(const RecoveryPoint& point) {
  return {{"id", point.id},
          {"created", to_string(point.created)},
          {"finished", to_string(point.finished)},
          {"label", point.label},
          {"stores", point.stores}};
}

std::string encode(const RecoveryPoint& point) {
  return dump_json(to_json(point), "point " + point.id);
}

std::string encode(const UnfinishedPoint& point) {
  nlohmann::json json = {{"id", point.id},          {"created", to_string(point.created)},
                         {"label", point.label},    {"state", point.revoked ? "revoked" : "open"},
                         {"host", point.host},      {"folder", point.folder},
                         {"process", point.process}};
  if (point.renewed) {
    json["renewed"] = to_string(*point.renewed);
    json["beats"] = point.beats;
  }
  if (point.revoked) {
    json["revoked"] = to_string(*point.revoked);
    json["why"] = point.why;
  }
  return dump_json(json, "point " + point.id);
}

RecoveryPoint point_from_json(ObjectType type, const std::string& name,
                              const nlohmann::json& json) {
  RecoveryPoint point;
  point.id = json.at("id").get<std::string>();
  point.created = time_of(type, name, json.at("created"));
  point.finished = time_of(type, name, json.at("finished"));
  point.label = json.at("label").get<std::string>();
  point.stores = json.at("stores");
  if (!point.stores.is_object()) throw_corrupt(type, name, "has stores that are no object");
  logs_of(point);  // throws when the references cannot be understood
  snapshots_of(point);
  return point;
}

std::variant<RecoveryPoint, UnfinishedPoint> open_point_object(const Sealing* sealing,
                                                               const std::string& id,
                                                               std::string object) {
  std::string name = point_name(id);
  auto opened = unseal(sealing, ObjectType::point, name, object);
  auto json = parse_json(ObjectType::point, name, opened.payload);
  using Read = std::variant<RecoveryPoint, UnfinishedPoint>;
  return read_members(ObjectType::point, name, [&]() -> Read {
    auto said = json.at("id").get<std::string>();
    if (said != id) throw_corrupt(ObjectType::point, name, "says it is " + said);
    if (json.contains("state")) return unfinished_point(name, json);
    return point_from_json(ObjectType::point, name, json);
  });
}

std::string describe(const UnfinishedPoint& point) {
  if (point.revoked)
    return fmt::format("was revoked at {}: {}", to_string(*point.revoked), point.why);
  return fmt::format("is being taken since {}, by {} (process {}), last seen at {}",
                     to_string(point.created), point.host, point.process,
                     to_string(point.alive_at()));
}

std::vector<SnapshotId> snapshots_of(const RecoveryPoint& point) {
  std::vector<SnapshotId> out;
  for_each_member(point.stores, [&](const std::string& key, const nlohmann::json& value) {
    if (key != "snapshot") return;
    auto id = value.is_string() ? SnapshotId::parse(value.get<std::string>()) : std::nullopt;
    if (!id) {
      throw Error(Code::corrupt, "point " + point.id, "names a snapshot by what is no id",
                  "use another point (lifeboat points)");
    }
    out.push_back(*id);
  });
  return out;
}

std::vector<LogStart> logs_of(const RecoveryPoint& point) {
  std::vector<LogStart> out;
  for_each_member(point.stores, [&](const std::string& key, const nlohmann::json& value) {
    if (key != "logs") return;
    read_members(ObjectType::point, point_name(point.id), [&] {
      for (const auto& log : value) out.push_back(parse_log_start(log));
      return 0;
    });
  });
  return out;
}

}  // namespace lifeboat::vault
