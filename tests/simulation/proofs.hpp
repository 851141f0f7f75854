#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/proof.hpp"
#include "vault/verify.hpp"

namespace lifeboat::vault::simulation {

// What is known of what verifies have proven: told of every record that comes and goes, in their
// order. Nothing is forgotten: when a point was last proven, and what is damaged. Throws Violation.
class ProofModel {
 public:
  // After it took effect. `live`: points that are there.
  void written(const Vault& vault, const std::string& id, const std::string& bytes,
               const std::vector<std::string>& live);
  // Before it takes effect.
  void removes(const std::string& id);
  // One record says all.
  void expect_no_garbage() const;
  std::uint64_t kept() const { return kept_; }  // so far

 private:
  Proven known() const;
  std::map<std::string, Proof> there_;
  std::uint64_t kept_ = 0;
};

// One run of verify and what it keeps, as recovery/verify does.
struct ProofLives {
  Random& chance;
  bool replaces_unread = false;  // a broken rule: it replaces records that it did not know

  VerifyReport verify(const Vault& vault, const std::string& host, const Clock& its_clock,
                      Clock& clock, const Cancel& cancel) const;
};

}  // namespace lifeboat::vault::simulation
