#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "vault/pack_index.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

// What reading a pack to its last byte gave.
struct PackCheck {
  std::string name;
  ByteCount bytes;             // read
  std::optional<Error> error;  // the first thing that is wrong with it
  // Chunks that are not what they were, by offset. Empty with an error: the footer could not be
  // read, and no index knows what it holds; or what is damaged is needed by nobody.
  std::vector<std::pair<std::uint32_t, Error>> chunks;
};

// Every byte of the pack: its checksums, then each chunk opened, decompressed and hashed. `object`:
// nullopt when the pack is missing.
PackCheck check_pack(const Vault& vault, const std::string& name,
                     const std::optional<std::string>& object, const Cancel& cancel);

// Each of the packs, several at a time, as many as there are cores up to `at_once`; tells of them
// in order. Memory: a pack and a chunk for each that is under way.
void check_packs(const Vault& vault, const std::vector<std::string>& names, unsigned at_once,
                 const Cancel& cancel, const std::function<void(PackCheck)>& visit);

}  // namespace lifeboat::vault
