#pragma once

#include <filesystem>
#include <string>

#include "vault/vault.hpp"

namespace lifeboat::recovery {

// Writes WAL file or timeline history `name` (PostgreSQL's %f) to `destination` (%p). False: the
// logbook does not hold it, which tells PostgreSQL that the archive ends here. A segment of which
// the logbook holds the beginning only (the last one before a loss) is filled with zeros, which
// PostgreSQL reads as the end of WAL; so is one behind which the logbook was pruned. Any other hole
// is Error(corrupt), never the end.
bool wal_fetch(const vault::Vault& vault, const std::string& name,
               const std::filesystem::path& destination);

}  // namespace lifeboat::recovery
