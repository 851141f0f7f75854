#include "vault/pruned_logs.hpp"

#include "base/error.hpp"
#include "vault/object.hpp"

namespace lifeboat::vault {
namespace {

// False: one that was listed is gone, put together with others since.
bool try_read(const Vault& vault, FoundPruned& found) {
  found.objects = store::list_twice(vault.store(), std::string(kPrunedPrefix));
  for (const auto& name : found.objects) {
    auto object = vault.store().get(name);
    if (!object) return false;
    try {
      found.logs.narrow(open_pruned(vault.sealing(), name, std::move(*object)));
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
      found.damaged.push_back({name, error});
    }
  }
  return true;
}

}  // namespace

FoundPruned read_pruned(const Vault& vault) {
  for (;;) {
    FoundPruned found;
    if (try_read(vault, found)) return found;
  }
}

void write_pruned(const Vault& vault, const std::string& id, const PrunedLogs& logs) {
  const auto name = pruned_name(id);
  const auto payload = encode_pruned(id, logs);
  const auto object = seal(vault.sealing(), ObjectType::pruned, name, payload);
  if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
      !holds(vault, ObjectType::pruned, name, payload)) {
    throw Error(Code::conflict, name, "was written by somebody else", "run lifeboat prune again");
  }
}

}  // namespace lifeboat::vault
