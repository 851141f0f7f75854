#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vault/extent.hpp"
#include "vault/object.hpp"
#include "vault/snapshot.hpp"

// The bytes of `points/<id>`; docs/format.md. What is done with them: points.hpp.
namespace lifeboat::vault {

// One moment to which everything can be brought back. Written last: a point that exists names only
// durable objects.
//
// `stores` has one JSON object a store ("postgres", "clickhouse", "kafka", "zookeeper"), free in
// form but for two members, at any depth, that verify() understands:
//   "snapshot": "<64 hex digits>"
//   "logs": [{"log": "<name>", "position": n, "until": m}, …]   its log begins at n; [n, m) is
//           needed to make the snapshot consistent ("until" may be missing)
// ClickHouse's cut has "exact": true, or false with bounds.
struct RecoveryPoint {
  std::string id;      // sorts by time: 20261122T170506123Z-3f9a
  Timestamp created;   // when taking it began
  Timestamp finished;  // when it was written
  std::string label;   // the user's, may be empty
  nlohmann::json stores = nlohmann::json::object();
};

struct LogStart {
  LogName log;
  Position position;
  std::optional<Position> until;
};

// A point that is being taken (open), or that was given up (revoked) and never becomes one. It has
// the same name from the beginning on, and only an open one is swapped into a whole one: what it is
// about to name is kept meanwhile (docs/prune.md).
struct UnfinishedPoint {
  std::string id;
  Timestamp created;  // when taking it began
  std::string label;
  std::string host;    // who takes it: the machine…
  std::string folder;  // …and the state folder there, which one backup at a time uses
  std::int64_t process = 0;
  std::optional<Timestamp> revoked;  // since then it was given up…
  std::string why;                   // …and why
  // Its backup's last sign of life, and how many there were: no two contents are equal bytes.
  std::optional<Timestamp> renewed{};
  std::uint64_t beats = 0;

  Timestamp alive_at() const { return renewed ? std::max(created, *renewed) : created; }
};

// "is being taken since …, by …", "was revoked at …: …".
std::string describe(const UnfinishedPoint& point);

// What the documents of `stores` refer to.
std::vector<SnapshotId> snapshots_of(const RecoveryPoint& point);
std::vector<LogStart> logs_of(const RecoveryPoint& point);

// A whole point as JSON, and back: in an object of its own, or within one of another type, whose
// name errors tell.
nlohmann::json to_json(const RecoveryPoint& point);
RecoveryPoint point_from_json(ObjectType type, const std::string& name, const nlohmann::json& json);

std::string encode(const RecoveryPoint& point);
std::string encode(const UnfinishedPoint& point);
// What stands under points/<id>. Error(corrupt), Error(unsupported).
std::variant<RecoveryPoint, UnfinishedPoint> open_point_object(const Sealing* sealing,
                                                               const std::string& id,
                                                               std::string object);

std::string point_name(const std::string& id);  // points/<id>

}  // namespace lifeboat::vault
