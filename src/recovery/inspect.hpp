#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "recovery/context.hpp"
#include "vault/vault.hpp"

// The verbs that only look: check, status.
namespace lifeboat::recovery {

struct Finding {
  std::string store;  // "vault", "postgres", …
  std::string name;
  enum class Level { ok, warning, problem } level = Level::ok;
  std::string what;
  std::string hint;  // empty when ok
};
// Servers reachable, versions, privileges, disks, gaps, tables that are held. A server that is down
// is a finding, never an exception.
std::vector<Finding> check_all(const Context& context);

// How far each log is archived beside where its source ends, the newest point, gaps. One object:
// {"vault":…, "points":…, "logs":[…], "gaps":[…], "stores":{name: {"reachable":bool,…}}}.
nlohmann::json status_of(const Context& context, const vault::Vault& vault);

}  // namespace lifeboat::recovery
