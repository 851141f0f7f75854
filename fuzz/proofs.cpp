#include "fuzz/targets.hpp"
#include "vault/object.hpp"
#include "vault/proof_format.hpp"

// The payload of what a verify keeps: what is taken is written as it was read.
namespace lifeboat::fuzz {

void proofs(std::string_view bytes) {
  const std::string id = "20261122T170506123Z-0123456789abcdef";
  const auto read = [&](std::string_view payload) {
    const auto object = vault::frame(vault::ObjectType::proof, vault::proof_name(id), payload);
    return vault::open_proof(nullptr, id, object);
  };
  const auto proof = read(bytes);
  const auto again = vault::encode_proof(proof);
  const auto same = taken([&] { return read(again); });
  if (vault::encode_proof(same) != again) broken("a proof is not what was read");
  vault::merge_proofs({{id, proof, Code::corrupt, ""}, {"2", same, Code::corrupt, ""}});
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(proofs)
