#pragma once

#include "vault/vault.hpp"

// When the root object `vault` is gone and the rest is not. Whoever makes a new vault there then
// has a new id, and a new key, over what nobody can open by them.
namespace lifeboat::vault {

// Error(corrupt) that says so, and what to do, when there is content and no root. Keys alone are no
// content: an `init` that was cut short leaves one. One listing for each prefix until one has
// something.
void require_root_not_lost(store::ObjectStore& store);

// Writes the root anew. Of an encrypted vault with what opens it, from the keys that are there: the
// id, so that all opens as before. Of a plain vault under a new id, which only plans know.
// Error(refused) when there is a root; not_found when nothing of a vault is there; denied when the
// key is missing, or does not open what is there.
Vault recover_root(store::ObjectStore& store, Clock& clock, Random& random, const KeyMaterial* key);

}  // namespace lifeboat::vault
