#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vault/extent.hpp"
#include "vault/snapshot.hpp"

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

// A fresh id for a point that is begun now.
std::string make_point_id(Clock& clock, Random& random);

// Durable when it returns. Error(conflict) when another point has its id.
void write_point(const Vault& vault, const RecoveryPoint& point);

// A point, or why it cannot be read. Broken ones are listed, never hidden.
struct ListedPoint {
  std::string id;
  std::optional<RecoveryPoint> point;
  std::string problem;  // empty when the point can be read
};
std::vector<ListedPoint> list_points(const Vault& vault);  // oldest first

// Errors: not_found, corrupt, unsupported.
RecoveryPoint read_point(const Vault& vault, const std::string& id);

// "latest", an id, the beginning of one, or a time (then: the newest point created at or before
// it). Error(not_found), Error(usage) when several fit, and what read_point() throws: a broken
// point is not silently replaced by an older one, the hint names that.
RecoveryPoint resolve_point(const Vault& vault, const std::string& wanted);

// What the documents of `stores` refer to.
std::vector<SnapshotId> snapshots_of(const RecoveryPoint& point);
std::vector<LogStart> logs_of(const RecoveryPoint& point);

std::string point_name(const std::string& id);  // points/<id>

}  // namespace lifeboat::vault
