#pragma once

#include <filesystem>

#include "recovery/config.hpp"
#include "vault/vault.hpp"

namespace lifeboat::cli {

// The recovery sheet on stdout, as text or as a document; or in a file that only its owner can
// read. Error(refused) when there is a file of that name, or the vault is plain.
void print_recovery_sheet(const vault::Vault& vault, const recovery::Config& config,
                          bool json = false);
void write_recovery_sheet(const vault::Vault& vault, const recovery::Config& config,
                          const std::filesystem::path& file);

}  // namespace lifeboat::cli
