#pragma once

#include <set>
#include <string>

#include "recovery/context.hpp"
#include "vault/prune.hpp"

namespace lifeboat::recovery {

struct PruneRequest {
  bool dry_run = false;
  bool wait = false;  // until what this run named is deleted
  bool nobody_else_writes = false;
  bool keep_logbook =
      true;  // write the logbook anew without what was pruned: `run` does that itself
  std::set<std::string> drop;   // points, by id
  std::set<std::string> unpin;  // points whose restores are given up, or pins, by id
};

struct PruneResult {
  vault::PruneReport report;
  std::size_t rewritten = 0;  // objects of the logbook that were replaced without what was pruned
  std::size_t removed = 0;    // objects of the logbook
};

// Drops what `retention` in lifeboat.yaml does not keep, and deletes what earlier runs named and
// nothing uses any more: content in the vault, what the logbook has beyond its window, and
// ClickHouse's backups beside it. Without that section only what `request` names is dropped, and
// what was named before is deleted; Error(config) when there is neither.
PruneResult prune(const Context& context, const vault::Vault& vault, const PruneRequest& request);

}  // namespace lifeboat::recovery
