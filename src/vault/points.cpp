#include "vault/points.hpp"

#include <fmt/format.h>

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

RecoveryPoint whole_point(const std::string& name, const nlohmann::json& json) {
  RecoveryPoint point;
  point.id = json.at("id").get<std::string>();
  point.created = parse_time(name, json.at("created"));
  point.finished = parse_time(name, json.at("finished"));
  point.label = json.at("label").get<std::string>();
  point.stores = json.at("stores");
  logs_of(point);  // throws when the references cannot be understood
  snapshots_of(point);
  return point;
}

UnfinishedPoint unfinished_point(const std::string& name, const nlohmann::json& json) {
  UnfinishedPoint point;
  point.id = json.at("id").get<std::string>();
  point.created = parse_time(name, json.at("created"));
  point.label = json.at("label").get<std::string>();
  point.host = json.at("host").get<std::string>();
  point.folder = json.at("folder").get<std::string>();
  point.process = json.at("process").get<std::int64_t>();
  if (json.contains("renewed")) {
    point.renewed = parse_time(name, json.at("renewed"));
    point.beats = json.at("beats").get<std::uint64_t>();
  }
  const auto state = json.at("state").get<std::string>();
  if (state == "revoked") {
    point.revoked = parse_time(name, json.at("revoked"));
    point.why = json.at("why").get<std::string>();
  } else if (state != "open") {
    throw Error(Code::unsupported, "point " + name, "is in a state that is unknown here: " + state,
                "install the Lifeboat that wrote it, or a newer one");
  }
  return point;
}

// One of both.
struct Decoded {
  std::optional<RecoveryPoint> whole;
  std::optional<UnfinishedPoint> unfinished;
};

Decoded decode(const Vault& vault, const std::string& id, std::string object) {
  std::string name = point_name(id);
  auto opened = unseal(vault.sealing(), ObjectType::point, name, object);
  auto json = parse_json(ObjectType::point, name, opened.payload);
  return read_members(ObjectType::point, name, [&] {
    auto said = json.at("id").get<std::string>();
    if (said != id) throw_corrupt(ObjectType::point, name, "says it is " + said);
    if (json.contains("state")) return Decoded{{}, unfinished_point(name, json)};
    return Decoded{whole_point(name, json), {}};
  });
}

// A point and its version, which was there when or before it was read: as states only go forward
// (open, open and renewed, then whole or revoked), what was read is of that version or a later one,
// and a swap by it takes the place of what was read, or fails.
struct Seen {
  std::string version;
  Decoded decoded;
};
std::optional<Seen> see(const Vault& vault, const std::string& id) {
  auto name = point_name(id);
  auto info = vault.store().stat(name);
  auto object = info ? vault.store().get(name) : std::nullopt;
  if (!object) return std::nullopt;
  return Seen{info->version, decode(vault, id, std::move(*object))};
}

Error was_revoked(const UnfinishedPoint& point) {
  return Error(
      Code::conflict, "point " + point.id, describe(point),
      "run `lifeboat backup` again; if its machine can be away from the vault for longer than "
      "the grace period, raise `retention: {grace: …}`");
}

void check_id(const std::string& id) {
  if (id.find('/') != std::string::npos || !store::valid_name(point_name(id))) {
    throw Error(Code::failed, "point " + id, "is not an id that a point can have");
  }
}

Error other_point(const std::string& id) {
  return Error(Code::conflict, "point " + id, "exists already and is another one",
               "take the point again");
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

void open_point(const Vault& vault, const UnfinishedPoint& point) {
  check_id(point.id);
  auto name = point_name(point.id);
  auto payload = encode(point);
  auto object = seal(vault.sealing(), ObjectType::point, name, payload);
  if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
      !holds(vault, ObjectType::point, name, payload)) {
    throw other_point(point.id);
  }
}

bool renew_point(const Vault& vault, const std::string& id, Timestamp now) {
  for (;;) {
    auto seen = see(vault, id);
    if (!seen || seen->decoded.whole || seen->decoded.unfinished->revoked) return false;
    auto point = *seen->decoded.unfinished;
    point.renewed = now;
    ++point.beats;
    auto name = point_name(id);
    auto object = seal(vault.sealing(), ObjectType::point, name, encode(point));
    if (swap_object(vault, name, object, seen->version) == store::PutResult::written) return true;
  }
}

void publish_point(const Vault& vault, const RecoveryPoint& point) {
  check_id(point.id);
  auto name = point_name(point.id);
  auto payload = encode(point);
  auto object = seal(vault.sealing(), ObjectType::point, name, payload);
  decode(vault, point.id, object);  // what could not be read back is not written
  for (;;) {
    auto seen = see(vault, point.id);
    if (!seen) {
      throw Error(Code::conflict, "point " + point.id,
                  "is gone: it was revoked, as it gave no sign of life for the grace period",
                  "run `lifeboat backup` again");
    }
    if (seen->decoded.whole) {  // by us, when an answer got lost
      if (holds(vault, ObjectType::point, name, payload)) return;
      throw other_point(point.id);
    }
    if (seen->decoded.unfinished->revoked) throw was_revoked(*seen->decoded.unfinished);
    if (swap_object(vault, name, object, seen->version) == store::PutResult::written) return;
  }
}

Revoked revoke_point(const Vault& vault, const std::string& id, Timestamp now,
                     const std::string& why, std::optional<Timestamp> dead_since) {
  for (;;) {
    auto seen = see(vault, id);
    if (!seen) return Revoked::gone;
    if (seen->decoded.whole) return Revoked::published;
    auto point = *seen->decoded.unfinished;
    if (point.revoked) return Revoked::before;
    if (dead_since && point.alive_at() > *dead_since) return Revoked::alive;
    point.revoked = now;
    point.why = why;
    auto name = point_name(id);
    auto object = seal(vault.sealing(), ObjectType::point, name, encode(point));
    if (swap_object(vault, name, object, seen->version) == store::PutResult::written)
      return Revoked::now;
  }
}

// Revoked first: a swap of ours that is still on its way must not find it open, nor may a point be
// removed that it has made whole.
Revoked withdraw_point(const Vault& vault, const std::string& id, Timestamp now) {
  auto out = revoke_point(vault, id, now, "it was withdrawn by its backup");
  if (out == Revoked::now || out == Revoked::before) vault.store().remove(point_name(id));
  return out;
}

std::vector<ListedPoint> list_points(const Vault& vault) {
  return list_all_points(vault).points;
}

AllPoints list_all_points(const Vault& vault) {
  AllPoints out;
  vault.store().list(kPrefix, [&](const store::ObjectInfo& info) {
    ListedPoint listed{info.name.substr(kPrefix.size()), std::nullopt, ""};
    try {
      auto object = vault.store().get(info.name);
      if (!object) return;  // removed meanwhile
      auto decoded = decode(vault, listed.id, std::move(*object));
      if (decoded.unfinished) return out.unfinished.push_back(std::move(*decoded.unfinished));
      listed.point = std::move(decoded.whole);
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
      listed.problem = error.what();
    }
    out.points.push_back(std::move(listed));
  });
  return out;
}

RecoveryPoint read_point(const Vault& vault, const std::string& id) {
  auto object = vault.store().get(point_name(id));
  if (!object) throw none(id, "does not exist");
  auto decoded = decode(vault, id, std::move(*object));
  if (decoded.unfinished) throw none(id, describe(*decoded.unfinished));
  return std::move(*decoded.whole);
}

std::string describe(const UnfinishedPoint& point) {
  if (point.revoked)
    return fmt::format("was revoked at {}: {}", to_string(*point.revoked), point.why);
  return fmt::format("is being taken since {}, by {} (process {}), last seen at {}",
                     to_string(point.created), point.host, point.process,
                     to_string(point.alive_at()));
}

RecoveryPoint resolve_point(const Vault& vault, const std::string& wanted) {
  auto all = list_all_points(vault);
  const auto& points = all.points;
  for (const auto& one : all.unfinished) {
    if (one.id == wanted) throw none(wanted, describe(one));
  }
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
