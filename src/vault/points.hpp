#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vault/point_format.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::vault {

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

}  // namespace lifeboat::vault
