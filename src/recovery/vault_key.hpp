#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "recovery/config.hpp"
#include "vault/keys.hpp"
#include "vault/vault.hpp"

// Passphrases and key files of an encrypted vault, read when they are needed and wiped afterwards.
// What is thrown names where one comes from, never what it is.
namespace lifeboat::recovery {

// What the vault is to be opened with: $LIFEBOAT_PASSPHRASE or $LIFEBOAT_KEY_FILE, else what
// lifeboat.yaml names; nullopt: neither does. Error(config) when it is empty or not there.
std::optional<vault::KeyMaterial> vault_key(const Config& config);
// Of the environment alone.
std::optional<vault::KeyMaterial> vault_key_of_environment();

vault::KeyMaterial read_passphrase(const std::filesystem::path& file);
// A key file, or a file with a recovery key.
vault::KeyMaterial read_key_file(const std::filesystem::path& file);
// A new one, that only its owner can read. Error(refused) when there is a file already.
vault::KeyMaterial make_key_file(const std::filesystem::path& file);
// A file that opens the vault, for its owner only.
void write_recovery_key(const std::filesystem::path& file, const vault::Sealing& sealing);

// Error(refused) for a new passphrase that is too short to be one.
void check_new_passphrase(const vault::KeyMaterial& passphrase);

// The files that hold the key, of those that others than their owner can read.
std::vector<std::filesystem::path> exposed_key_files(const Config& config);

// What is to be kept outside of the vault: its key on paper, and what is lost when it is lost.
std::string recovery_sheet(const vault::Vault& vault, const std::string& place);

}  // namespace lifeboat::recovery
