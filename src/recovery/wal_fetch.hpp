#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "vault/vault.hpp"

namespace lifeboat::recovery {

// Writes WAL file or timeline history `name` (PostgreSQL's %f) to `destination` (%p). False: the
// logbook does not hold it, which tells PostgreSQL that the archive ends here. A segment of which
// the logbook holds the beginning only (the last one before a loss) is filled with zeros, which
// PostgreSQL reads as the end of WAL. A hole in the middle is Error(corrupt), never the end. With
// `until` all WAL ends there: what follows was pruned, and the restore knows it.
bool wal_fetch(const vault::Vault& vault, const std::string& name,
               const std::filesystem::path& destination, std::optional<Lsn> until = {});

}  // namespace lifeboat::recovery
