#pragma once

#include <string>

#include "cli/session.hpp"
#include "recovery/plan.hpp"
#include "vault/vault.hpp"

namespace lifeboat::cli {

// How long a step waits for a server that is down: "10m". Error(usage).
Millis parse_wait(const std::string& text);

// Does the plan and tells how it went; the end of `apply` and of `restore`.
int apply_and_tell(const Globals& globals, Session& session, const vault::Vault& vault,
                   const recovery::Plan& plan, Millis wait);
// The end of their dry runs.
int tell_dry_run(const Globals& globals, const recovery::Plan& plan);

}  // namespace lifeboat::cli
