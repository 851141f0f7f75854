#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "recovery/inspect.hpp"

namespace lifeboat::cli {

// What `check` and `init` found.
void print_findings(const std::vector<recovery::Finding>& findings);  // data, a table
nlohmann::json findings_json(const std::vector<recovery::Finding>& findings);
bool has_problem(const std::vector<recovery::Finding>& findings);

}  // namespace lifeboat::cli
