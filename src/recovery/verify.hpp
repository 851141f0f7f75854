#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "recovery/context.hpp"
#include "vault/verify.hpp"

namespace lifeboat::recovery {

struct VerifyRequest {
  std::optional<std::string> point;  // a full id; else all
  vault::Depth depth = vault::Depth::existence;
  vault::Share share = vault::kAll;   // of a sample
  std::optional<std::uint64_t> seed;  // of a sample; else it reads on from where the last one ended
};

struct VerifyResult {
  vault::Verdict verdict = vault::Verdict::could_not_verify;
  vault::VerifyReport report;          // with ClickHouse's backup files among the damages
  std::vector<std::string> unchecked;  // what could not be looked at, and why
  std::optional<std::uint64_t> seed;   // of a sample
  vault::SamplePlace from;             // likewise: where it went on
  std::string kept;                    // the record in the vault; empty: it could not be kept…
  std::string not_kept;                // …and why
};
// The vault's objects, and the files of ClickHouse's backups in their place. What was proven is
// kept in the vault.
VerifyResult verify_all(const Context& context, const vault::Vault& vault,
                        const VerifyRequest& request);

// When a point was last proven, for `points` and `status`; nullptr: never. {"state", "existence",
// "sample", "data"}: times or null; "whole": {"from", "to"} when samples have gone round; with a
// state that is not VERIFIED also "at", "depth", "what".
nlohmann::json proof_json(const vault::PointProof* proof);
// One run of verify, as it is kept.
nlohmann::json run_json(const vault::Proof& run);

}  // namespace lifeboat::recovery
