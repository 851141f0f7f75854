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
  std::set<std::string> drop;  // points, by id
};

// Drops what `retention` in lifeboat.yaml does not keep, and deletes what earlier runs named and
// nothing uses any more: content in the vault, and ClickHouse's backups beside it. Error(config)
// without that section.
vault::PruneReport prune(const Context& context, const vault::Vault& vault,
                         const PruneRequest& request);

}  // namespace lifeboat::recovery
