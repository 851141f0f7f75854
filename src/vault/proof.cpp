#include "vault/proof.hpp"

#include <spdlog/spdlog.h>

#include <set>

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

const std::string kPrefix = "proofs/";
constexpr int kLooks = 5;

ListedProof read_one(const Vault& vault, const std::string& id, std::string object) {
  ListedProof listed;
  listed.id = id;
  try {
    listed.proof = open_proof(vault.sealing(), id, std::move(object));
  } catch (const Error& error) {
    if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
    listed.code = error.code();
    listed.problem = error.what();
  }
  return listed;
}

std::vector<ListedProof> list_once(const Vault& vault, bool& gone) {
  std::vector<ListedProof> out;
  for (const auto& name : store::list_twice(vault.store(), kPrefix)) {
    const auto id = name.substr(kPrefix.size());
    auto object = vault.store().get(proof_name(id));
    gone = gone || !object;
    if (object) out.push_back(read_one(vault, id, std::move(*object)));
  }
  return out;
}

}  // namespace

std::string make_proof_id(Clock& clock, Random& random) {
  return compact_time(clock.now()) + "-" + random.hex(16);
}

std::vector<ListedProof> list_proofs(const Vault& vault) {
  // One that is gone was replaced by one that was written before, and is listed now.
  for (int left = kLooks;; --left) {
    bool gone = false;
    auto out = list_once(vault, gone);
    if (!gone || left == 0) return out;
  }
}

Proven read_proven(const Vault& vault) {
  return merge_proofs(list_proofs(vault));
}

std::vector<std::string> damaged_packs(const Vault& vault) {
  auto listed = list_proofs(vault);
  for (const auto& one : listed) {
    if (!one.proof) spdlog::warn("what a verify has found damaged is not known: {}", one.problem);
  }
  auto damaged = merge_proofs(listed).damaged;
  std::erase_if(damaged, [](const auto& name) { return !name.starts_with("packs/"); });
  return damaged;
}

void write_proof(const Vault& vault, const Proof& proof) {
  auto name = proof_name(proof.id);
  auto payload = encode_proof(proof);
  auto object = seal(vault.sealing(), ObjectType::proof, name, payload);
  if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
      !holds(vault, ObjectType::proof, name, payload)) {
    throw Error(Code::conflict, "proof " + name, "was written by somebody else",
                "run lifeboat verify again");
  }
}

void remove_replaced_proofs(const Vault& vault) {
  std::set<std::string> there;
  std::set<std::string> replaced;
  for (const auto& listed : list_proofs(vault)) {
    there.insert(listed.id);
    if (!listed.proof) continue;
    replaced.insert(listed.proof->replaces.begin(), listed.proof->replaces.end());
  }
  for (const auto& id : replaced) {
    if (!there.contains(id)) continue;
    try {
      vault.store().remove(proof_name(id));
    } catch (const Error& error) {
      if (error.code() != Code::denied && error.code() != Code::refused) throw;
      spdlog::debug("{}", error.what());
    }
  }
}

}  // namespace lifeboat::vault
