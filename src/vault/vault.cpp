#include "vault/vault.hpp"

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

const std::string kRoot = "vault";

}  // namespace

Vault Vault::create(store::ObjectStore& store, Clock& clock, Random& random) {
  std::string id = random.hex(32);
  nlohmann::json json = {{"id", id}, {"created", to_string(clock.now())}};
  auto bytes = seal(ObjectType::root, kRoot, dump_json(json, kRoot));
  store.put_if_absent(kRoot, bytes);
  Vault vault = open(store);  // an answer that was lost on the way: it may be ours all the same
  if (vault.id() != id) {
    throw Error(Code::refused, store.describe(),
                "holds a vault already, of " + to_string(vault.created()) + ", id " + vault.id(),
                "use it as it is, or give another place for a new one");
  }
  return vault;
}

Vault Vault::open(store::ObjectStore& store) {
  auto bytes = store.get(kRoot);
  if (!bytes) {
    throw Error(Code::not_found, store.describe(), "holds no vault: the object `vault` is missing",
                "make one with lifeboat init, or correct the path");
  }
  auto json = parse_json(ObjectType::root, kRoot, unseal(ObjectType::root, kRoot, *bytes).payload);
  return read_members(ObjectType::root, kRoot, [&] {
    auto created = parse_timestamp(json.at("created").get<std::string>());
    if (!created) throw_corrupt(ObjectType::root, kRoot, "its time of creation is not a time");
    return Vault(store, json.at("id").get<std::string>(), *created);
  });
}

bool Vault::exists(store::ObjectStore& store) {
  return store.stat(kRoot).has_value();
}

}  // namespace lifeboat::vault
