#include "cli/findings.hpp"

#include <algorithm>

#include "cli/output.hpp"

namespace lifeboat::cli {
namespace {

std::string level_name(recovery::Finding::Level level) {
  switch (level) {
    case recovery::Finding::Level::ok:
      return "ok";
    case recovery::Finding::Level::warning:
      return "warning";
    case recovery::Finding::Level::problem:
      return "problem";
  }
  return "problem";
}

}  // namespace

void print_findings(const std::vector<recovery::Finding>& findings) {
  Table table({"", "STORE", "CHECK", "FOUND"});
  for (const auto& f : findings) {
    table.row({level_name(f.level), f.store, f.name, f.what});
    if (!f.hint.empty()) table.row({"", "", "", "  next: " + f.hint});
  }
  print_data(table.text());
}

nlohmann::json findings_json(const std::vector<recovery::Finding>& findings) {
  auto out = nlohmann::json::array();
  for (const auto& f : findings) {
    out.push_back({{"store", f.store},
                   {"name", f.name},
                   {"level", level_name(f.level)},
                   {"what", f.what},
                   {"hint", f.hint}});
  }
  return out;
}

bool has_problem(const std::vector<recovery::Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const recovery::Finding& f) {
    return f.level == recovery::Finding::Level::problem;
  });
}

}  // namespace lifeboat::cli
