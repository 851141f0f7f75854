#include "vault/points.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/text.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

const std::string kPrefix = point_name("");

// One of both.
struct Decoded {
  std::optional<RecoveryPoint> whole;
  std::optional<UnfinishedPoint> unfinished;
};

Decoded decode(const Vault& vault, const std::string& id, std::string object) {
  auto read = open_point_object(vault.sealing(), id, std::move(object));
  if (auto* whole = std::get_if<RecoveryPoint>(&read)) return {std::move(*whole), {}};
  return {{}, std::get<UnfinishedPoint>(std::move(read))};
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

constexpr unsigned kReadAtOnce = 16;  // many points far away are waited for together

// Neither: it was removed meanwhile.
struct Listed {
  std::optional<ListedPoint> point;
  std::optional<UnfinishedPoint> unfinished;
};
Listed look_at(const Vault& vault, const std::string& name) {
  ListedPoint listed{name.substr(kPrefix.size()), std::nullopt, ""};
  try {
    auto object = vault.store().get(name);
    if (!object) return {};
    auto decoded = decode(vault, listed.id, std::move(*object));
    if (decoded.unfinished) return {std::nullopt, std::move(decoded.unfinished)};
    listed.point = std::move(decoded.whole);
  } catch (const Error& error) {
    if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
    listed.problem = error.what();
  }
  return {std::move(listed), std::nullopt};
}

}  // namespace

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
  const auto names = store::list_twice(vault.store(), kPrefix);
  auto listed = for_all<Listed>(vault.store(), kReadAtOnce, names, Cancel(),
                                [&](const std::string& name) { return look_at(vault, name); });
  AllPoints out;
  for (auto& [_, one] : listed) {
    if (one.unfinished) out.unfinished.push_back(std::move(*one.unfinished));
    if (one.point) out.points.push_back(std::move(*one.point));
  }
  return out;
}

RecoveryPoint read_point(const Vault& vault, const std::string& id) {
  auto object = vault.store().get(point_name(id));
  if (!object) throw none(id, "does not exist");
  auto decoded = decode(vault, id, std::move(*object));
  if (decoded.unfinished) throw none(id, describe(*decoded.unfinished));
  return std::move(*decoded.whole);
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
    const auto other = older_good_point(points, found.id);
    if (other.empty()) throw;
    const auto use_other = "use the point before it, " + other;
    // One that a newer Lifeboat wrote is most likely whole.
    throw Error(error.code(), error.subject(), error.message(),
                error.code() == Code::unsupported ? error.hint() + "; or " + use_other : use_other);
  }
}

}  // namespace lifeboat::vault
