#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/proof_format.hpp"
#include "vault/vault.hpp"

// What verify runs have proven, kept in the vault as `proofs/<id>`: so that each point shows when
// it was last proven, backups do not rely on what is known to be damaged, and a sample reads on
// where the last one ended. Each record says all that was known when it was written and names those
// that it replaces: one is left, or a few where several ran at once.
namespace lifeboat::vault {

std::vector<ListedProof> list_proofs(const Vault& vault);  // oldest first
Proven read_proven(const Vault& vault);                    // merged

// Packs that a verify found damaged: they count as absent for who relies on what packs hold.
std::vector<std::string> damaged_packs(const Vault& vault);

std::string make_proof_id(Clock& clock, Random& random);
void write_proof(const Vault& vault, const Proof& proof);
// Removes the records that others replace. One that may not be removed stays, and says nothing new.
void remove_replaced_proofs(const Vault& vault);

}  // namespace lifeboat::vault
