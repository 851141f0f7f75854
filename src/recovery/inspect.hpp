#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "recovery/context.hpp"
#include "vault/verify.hpp"

// The verbs that only look: check, status, verify.
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

enum class Verdict { verified, failed, could_not_verify };
std::string_view to_string(Verdict verdict);
struct VerifyResult {
  Verdict verdict = Verdict::could_not_verify;
  vault::VerifyReport report;          // with ClickHouse's backup files among the damages
  std::vector<std::string> unchecked;  // what could not be looked at, and why
};
// The vault's objects, and the files of ClickHouse's backups in their place.
VerifyResult verify_all(const Context& context, const vault::Vault& vault,
                        const vault::VerifyOptions& options);

}  // namespace lifeboat::recovery
