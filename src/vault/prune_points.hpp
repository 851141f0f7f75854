#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vault/points.hpp"
#include "vault/prune_word.hpp"
#include "vault/retention_policy.hpp"

// Which points a pruner drops when others prune too: docs/prune.md, "Several pruners". Pure.
namespace lifeboat::vault {

// The policy's verdicts, of all but the points that are `given_up` (ids) and those that other words
// drop (`going`, names of objects): with what is left the window begins. Oldest first.
std::vector<PointVerdict> judge_points(const AllPoints& all, const RetentionPolicy& policy,
                                       const std::set<std::string>& given_up,
                                       const std::set<std::string>& going);

std::optional<WindowBeginning> beginning_of(const std::vector<PointVerdict>& verdicts);

// Names of objects, of broken points too that are given up; not of those that other words drop.
std::set<std::string> names_of_dropped(const AllPoints& all,
                                       const std::vector<PointVerdict>& verdicts,
                                       const std::set<std::string>& given_up,
                                       const OtherWords& others);

// Leaves in the word what goes for sure, by a look at the other words and then at all points, both
// after it was written. Nothing of points and logs does unless the window still begins where the
// word says: who knows less must not take what others rely on. `outside` tells what a point has
// beside the vault.
void settle_points(PruneWord& word, const AllPoints& all, const std::vector<PointVerdict>& verdicts,
                   const std::set<std::string>& dropped,
                   const std::function<std::set<std::string>(const ListedPoint&)>& outside);

}  // namespace lifeboat::vault
