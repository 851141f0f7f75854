#pragma once

#include <string>
#include <vector>

#include "vault/logbook.hpp"
#include "vault/pruned_format.hpp"

namespace lifeboat::vault {

struct FoundPruned {
  PrunedLogs logs;
  std::vector<std::string> objects;  // names, sorted
  // What cannot be read: then more is shown of the logbook than was left, with holes in it.
  std::vector<DamagedObject> damaged;
};
FoundPruned read_pruned(const Vault& vault);
// `id`: of the word that decided it; whoever finishes that word writes the same.
void write_pruned(const Vault& vault, const std::string& id, const PrunedLogs& logs);

}  // namespace lifeboat::vault
