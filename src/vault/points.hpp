#pragma once

#include <algorithm>
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

// A fresh id for a point that is begun now.
std::string make_point_id(Clock& clock, Random& random);

// Before anything else of a backup. Error(conflict) when another point has its id.
void open_point(const Vault& vault, const UnfinishedPoint& point);
// A sign of life: who gives none for the grace period is taken for dead. False: it is not open any
// more.
bool renew_point(const Vault& vault, const std::string& id, Timestamp now);
// Swaps the open point for the whole one. Durable when it returns. Error(conflict) when it was
// revoked meanwhile, or another point has its id. When it throws something else, the point may have
// been published all the same: withdraw_point() finds that out.
void publish_point(const Vault& vault, const RecoveryPoint& point);

enum class Revoked { now, before, published, gone, alive };
// Swaps an open point for a revoked one; `published`: it became whole and is left alone; `alive`:
// so is it, as its backup gave a sign of life later than that.
Revoked revoke_point(const Vault& vault, const std::string& id, Timestamp now,
                     const std::string& why, std::optional<Timestamp> dead_since = {});
// The same, and nothing is left of it. For whoever opened it.
Revoked withdraw_point(const Vault& vault, const std::string& id, Timestamp now);

// A point, or why it cannot be read. Broken ones are listed, never hidden.
struct ListedPoint {
  std::string id;
  std::optional<RecoveryPoint> point;
  std::string problem;  // empty when the point can be read
};
std::vector<ListedPoint> list_points(const Vault& vault);  // oldest first
struct AllPoints {
  std::vector<ListedPoint> points;  // as list_points()
  std::vector<UnfinishedPoint> unfinished;
};
AllPoints list_all_points(const Vault& vault);

// Errors: not_found (also of an unfinished one), corrupt, unsupported.
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
