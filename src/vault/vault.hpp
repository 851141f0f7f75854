#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "store/object_store.hpp"
#include "vault/crypto.hpp"
#include "vault/object.hpp"
#include "vault/root_format.hpp"

namespace lifeboat::vault {

class Sealing;
struct KeyMaterial;

// A store that holds a Lifeboat vault: the root object `vault` with the vault's id, and whether it
// is encrypted. Cheap to copy; the store must outlive it. Thread-safe.
class Vault {
 public:
  // Makes a plain vault. Error(refused) when there is one already: it is never changed; and
  // Error(corrupt) when one is there that has lost its root object.
  static Vault create(store::ObjectStore& store, Clock& clock, Random& random);
  // Makes an encrypted vault with this first key.
  static Vault create(store::ObjectStore& store, Clock& clock, Random& random,
                      const KeyMaterial& first, const std::string& label,
                      const ScryptCost& cost = {});
  // Error(not_found) when there is none, corrupt or unsupported when it cannot be read, corrupt
  // also when its root is lost. Of an
  // encrypted vault without a key, or with one that does not open it: Error(denied). Of a plain
  // vault with a key: Error(refused), somebody may have put it in the place of an encrypted one.
  static Vault open(store::ObjectStore& store, const KeyMaterial* key = nullptr);
  // Whether a root object is there, readable or not.
  static bool exists(store::ObjectStore& store);

  static Root read_root(store::ObjectStore& store);
  // Makes a vault of a store: writes the root if absent; with a key, as that of an encrypted vault,
  // with the check of the key. Error(refused) when another one is there.
  static void write_root(store::ObjectStore& store, const std::string& id, Timestamp created,
                         const Sealing* sealing);

  const Root& root() const { return root_; }
  const std::string& id() const { return root_.id; }
  Timestamp created() const { return root_.created; }
  store::ObjectStore& store() const { return *store_; }
  bool encrypted() const { return sealing_ != nullptr; }
  // nullptr: a plain vault.
  const Sealing* sealing() const { return sealing_.get(); }
  // Which of its keys opened it; empty: a plain vault, or the vault's key itself.
  const std::string& opened_by() const { return opened_by_; }

 private:
  Vault(store::ObjectStore& store, Root root) : store_(&store), root_(std::move(root)) {}

  store::ObjectStore* store_;
  Root root_;
  std::shared_ptr<const Sealing> sealing_;
  std::string opened_by_;
};

// Whether the object is there and has this payload: sealed twice, the same payload is not the same
// bytes.
bool holds(const Vault& vault, ObjectType type, const std::string& name, std::string_view payload);

// put_if_unchanged(). A store that was seen not to have it (store::recorded()) has one writer, who
// has just looked: there it is a plain put().
store::PutResult swap_object(const Vault& vault, const std::string& name, std::string_view object,
                             const std::string& seen_version);

}  // namespace lifeboat::vault
