#pragma once

#include <filesystem>
#include <string>

#include "recovery/config.hpp"

// During a recovery PostgreSQL runs `lifeboat wal-fetch` as its own user, who must be able to read
// the vault.
namespace lifeboat::recovery {

// When run as root and lifeboat.yaml names postgres.os_user: gives the vault's folder to that
// user's group, set-group-id, so that all that is written into it can be read by the group. A vault
// in S3 is left alone.
void share_vault_with_postgres(const Config& config);

// Error(denied), with what to do, unless postgres.os_user can read the vault's root object and run
// this program. Of a vault in S3 only the latter is looked at.
void check_postgres_can_fetch(const Config& config);

// Whether `user` may do `mode` (access(2)) with the path. Error(not_found) for an unknown user.
bool user_can(const std::string& user, const std::filesystem::path& path, int mode);

}  // namespace lifeboat::recovery
