#pragma once

#include <string>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "store/object_store.hpp"

namespace lifeboat::vault {

// A store that holds a Lifeboat vault: the root object `vault` with the vault's id. Cheap to copy;
// the store must outlive it. Thread-safe.
class Vault {
 public:
  // Makes the vault. Error(refused) when there is one already: it is never changed.
  static Vault create(store::ObjectStore& store, Clock& clock, Random& random);
  // Error(not_found) when there is none, corrupt or unsupported when it cannot be read.
  static Vault open(store::ObjectStore& store);
  // Whether a root object is there, readable or not.
  static bool exists(store::ObjectStore& store);

  const std::string& id() const { return id_; }  // 32 hex digits, random
  Timestamp created() const { return created_; }
  store::ObjectStore& store() const { return *store_; }

 private:
  Vault(store::ObjectStore& store, std::string id, Timestamp created)
      : store_(&store), id_(std::move(id)), created_(created) {}

  store::ObjectStore* store_;
  std::string id_;
  Timestamp created_;
};

}  // namespace lifeboat::vault
