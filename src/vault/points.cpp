#include "vault/points.hpp"

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

const std::string kPrefix = "points/";

std::string encode(const RecoveryPoint& point) {
  nlohmann::json json = {{"id", point.id},
                         {"created", to_string(point.created)},
                         {"finished", to_string(point.finished)},
                         {"label", point.label},
                         {"stores", point.stores}};
  return dump_json(json, "point " + point.id);
}

Timestamp parse_time(const std::string& name, const nlohmann::json& text) {
  auto time = parse_timestamp(text.get<std::string>());
  if (!time) throw_corrupt(ObjectType::point, name, "has a time that is none");
  return *time;
}

RecoveryPoint decode(const Vault& vault, const std::string& id, std::string object) {
  std::string name = point_name(id);
  auto opened = unseal(vault.sealing(), ObjectType::point, name, object);
  auto json = parse_json(ObjectType::point, name, opened.payload);
  return read_members(ObjectType::point, name, [&] {
    RecoveryPoint point;
    point.id = json.at("id").get<std::string>();
    point.created = parse_time(name, json.at("created"));
    point.finished = parse_time(name, json.at("finished"));
    point.label = json.at("label").get<std::string>();
    point.stores = json.at("stores");
    if (point.id != id) throw_corrupt(ObjectType::point, name, "says it is " + point.id);
    logs_of(point);  // throws when the references cannot be understood
    snapshots_of(point);
    return point;
  });
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

Error none(const std::string& wanted, const std::string& why) {
  return Error(Code::not_found, "point " + wanted, why, "list them with lifeboat points");
}

const ListedPoint& newest_until(const std::vector<ListedPoint>& points, const std::string& wanted,
                                Timestamp time) {
  // Ids begin with the time of creation: this also places the points that cannot be read.
  std::string end = compact_time(time) + "~";
  const ListedPoint* best = nullptr;
  for (const auto& point : points) {
    if (point.id < end) best = &point;
  }
  if (best == nullptr) throw none(wanted, "there is no point as old as that");
  return *best;
}

const ListedPoint& by_prefix(const std::vector<ListedPoint>& points, const std::string& wanted) {
  const ListedPoint* found = nullptr;
  for (const auto& point : points) {
    if (point.id == wanted) return point;
    if (!point.id.starts_with(wanted)) continue;
    if (found != nullptr) {
      throw Error(Code::usage, "point " + wanted, "could be " + found->id + " or " + point.id,
                  "give more of its id");
    }
    found = &point;
  }
  if (found == nullptr) throw none(wanted, "there is no point of that id, nor a time like that");
  return *found;
}

std::string older_good_point(const std::vector<ListedPoint>& points, const std::string& id) {
  std::string out;
  for (const auto& point : points) {
    if (point.point && point.id < id) out = point.id;
  }
  return out;
}

}  // namespace

std::string point_name(const std::string& id) {
  return kPrefix + id;
}

std::string make_point_id(Clock& clock, Random& random) {
  return compact_time(clock.now()) + "-" + random.hex(4);
}

void write_point(const Vault& vault, const RecoveryPoint& point) {
  std::string name = point_name(point.id);
  if (point.id.find('/') != std::string::npos || !store::valid_name(name)) {
    throw Error(Code::failed, "point " + point.id, "is not an id that a point can have");
  }
  std::string payload = encode(point);
  std::string object = seal(vault.sealing(), ObjectType::point, name, payload);
  decode(vault, point.id, object);  // what could not be read back is not written
  if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
      !holds(vault, ObjectType::point, name, payload)) {
    throw Error(Code::conflict, "point " + point.id, "exists already and is another one",
                "take the point again");
  }
}

std::vector<ListedPoint> list_points(const Vault& vault) {
  std::vector<ListedPoint> out;
  vault.store().list(kPrefix, [&](const store::ObjectInfo& info) {
    ListedPoint listed{info.name.substr(kPrefix.size()), std::nullopt, ""};
    try {
      listed.point = read_point(vault, listed.id);
    } catch (const Error& error) {
      if (error.code() == Code::not_found) return;  // removed meanwhile
      if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
      listed.problem = error.what();
    }
    out.push_back(std::move(listed));
  });
  return out;
}

RecoveryPoint read_point(const Vault& vault, const std::string& id) {
  auto object = vault.store().get(point_name(id));
  if (!object) throw none(id, "does not exist");
  return decode(vault, id, std::move(*object));
}

RecoveryPoint resolve_point(const Vault& vault, const std::string& wanted) {
  auto points = list_points(vault);
  if (points.empty()) {
    throw Error(Code::not_found, "point " + wanted, "the vault has no points yet",
                "take one with lifeboat backup");
  }
  auto time = parse_timestamp(wanted);
  const ListedPoint& found = wanted == "latest" ? points.back()
                             : time             ? newest_until(points, wanted, *time)
                                                : by_prefix(points, wanted);
  if (found.point) return *found.point;
  try {
    return read_point(vault, found.id);
  } catch (const Error& error) {
    std::string other = older_good_point(points, found.id);
    throw Error(error.code(), error.subject(), error.message(),
                other.empty() ? error.hint() : "use the point before it, " + other);
  }
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
