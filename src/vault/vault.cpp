#include "vault/vault.hpp"

#include "base/error.hpp"
#include "store/probe.hpp"
#include "vault/keys.hpp"
#include "vault/lost_root.hpp"
#include "vault/object.hpp"

namespace lifeboat::vault {
namespace {

Error encrypted_without_key(store::ObjectStore& store) {
  return Error(Code::denied, store.describe(), "holds an encrypted vault, and no key is given",
               "name its passphrase or key file as vault_key in lifeboat.yaml (`lifeboat init "
               "--print` shows how); `lifeboat key ls` lists its keys");
}

Error plain_with_key(store::ObjectStore& store, const KeyMaterial& key) {
  return Error(Code::refused, store.describe(),
               "holds a plain vault, while " + key.from +
                   " is given to open an encrypted one: nothing is read from it or written to it",
               "if it always was plain, remove vault_key from lifeboat.yaml; else somebody has "
               "replaced its object `vault`: copy that back from a replica");
}

}  // namespace

Vault Vault::create(store::ObjectStore& store, Clock& clock, Random& random) {
  require_root_not_lost(store);
  write_root(store, random.hex(32), clock.now(), nullptr);
  return open(store);
}

// The key is durable before the root is: a vault that exists can be opened.
Vault Vault::create(store::ObjectStore& store, Clock& clock, Random& random,
                    const KeyMaterial& first, const std::string& label, const ScryptCost& cost) {
  require_root_not_lost(store);
  const auto id = random.hex(32);
  const auto created = clock.now();
  Sealing sealing(random_key(), id);
  auto key = add_key(store, sealing, first, label, clock, cost);
  try {
    write_root(store, id, created, &sealing);
  } catch (const Error& error) {
    if (error.code() == Code::refused) store.remove(std::string(kKeyPrefix) + key.id);
    throw;
  }
  return open(store, &first);
}

void Vault::write_root(store::ObjectStore& store, const std::string& id, Timestamp created,
                       const Sealing* sealing) {
  Root root{id, created, sealing != nullptr, ""};
  if (root.encrypted) root.check = sealing->root_check(checked_part(root)).hex();
  store.put_if_absent(kRootName, root_object(root));
  auto found = read_root(store);  // an answer that was lost: it may be ours all the same
  if (found.id == id) return;
  throw Error(Code::refused, store.describe(),
              "holds a vault already, of " + to_string(found.created) + ", id " + found.id,
              "use it as it is, or give another place for a new one");
}

Root Vault::read_root(store::ObjectStore& store) {
  auto bytes = store.get(kRootName);
  if (!bytes) {
    require_root_not_lost(store);
    throw Error(Code::not_found, store.describe(), "holds no vault: the object `vault` is missing",
                "make one with lifeboat init, or correct the path");
  }
  return open_root(*bytes);
}

Vault Vault::open(store::ObjectStore& store, const KeyMaterial* key) {
  Vault vault(store, read_root(store));
  const Root& root = vault.root_;
  if (!root.encrypted && key != nullptr) throw plain_with_key(store, *key);
  if (!root.encrypted) return vault;
  if (key == nullptr) throw encrypted_without_key(store);
  auto unlocked = unlock(store, root.id, *key);
  auto sealing = std::make_shared<const Sealing>(std::move(unlocked.vault_key), root.id);
  if (!equal_in_constant_time(sealing->root_check(checked_part(root)).hex(), root.check)) {
    if (key->kind == KeyMaterial::Kind::vault_key) {
      throw Error(Code::denied, store.describe(), key->from + " is that of another vault",
                  "the sheet says of which; this one is " + root.id);
    }
    throw_corrupt(ObjectType::root, kRootName, "was not written by somebody with the vault's key");
  }
  vault.sealing_ = std::move(sealing);
  vault.opened_by_ = unlocked.key_id;
  return vault;
}

bool Vault::exists(store::ObjectStore& store) {
  return store.stat(kRootName).has_value();
}

bool holds(const Vault& vault, ObjectType type, const std::string& name, std::string_view payload) {
  auto found = vault.store().get(name);
  if (!found) return false;
  try {
    return unseal(vault.sealing(), type, name, *found).payload == payload;
  } catch (const Error& error) {
    if (error.code() != Code::corrupt) throw;
    return false;
  }
}

store::PutResult swap_object(const Vault& vault, const std::string& name, std::string_view object,
                             const std::string& seen_version) {
  // Where nothing is known the condition is asked for: the stricter way.
  auto known = store::recorded(vault.store());
  if (!known || known->put_if_unchanged) {
    return vault.store().put_if_unchanged(name, object, seen_version);
  }
  vault.store().put(name, object);
  return store::PutResult::written;
}

}  // namespace lifeboat::vault
