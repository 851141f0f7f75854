#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recovery/plan.hpp"
#include "vault/pruned_logs.hpp"

namespace lifeboat::recovery {

// Watches over what a restore reads of the logbook. Pruners that look at the pins after its pin was
// written leave it alone (docs/prune.md); what went between its plan and that, or what a pruner
// takes that had looked before, is seen here.
class RestoreLogs {
 public:
  // Both must outlive it.
  RestoreLogs(const vault::Vault& vault, const Plan& plan, const vault::RecoveryPoint& point);
  // What was pruned since the plan was made, or is about to be: a sentence each. Where nothing was
  // pruned since it looked last, it costs two short listings.
  std::vector<std::string> gone();

 private:
  const vault::Vault& vault_;
  const Plan& plan_;
  const vault::RecoveryPoint& point_;
  std::optional<vault::PrunedLogs> good_;  // with what was pruned when nothing was gone
};

}  // namespace lifeboat::recovery
