#pragma once

#include <set>
#include <string>
#include <vector>

#include "recovery/plan.hpp"

namespace CLI {
class App;
}

namespace lifeboat::cli {

// What `plan` and `restore` take to say what is to be restored.
struct PlanWords {
  std::vector<std::string> stores;
  std::string point;  // empty: latest
  std::string to;
  std::vector<std::string> overwrite;
  bool accept_loss = false;
  std::string kafka;  // empty: as lifeboat.yaml allows
};
void add_plan_words(CLI::App& verb, PlanWords& words);

// Error(usage) for what is no store or no time. `all` is every store that lifeboat.yaml names.
recovery::PlanRequest to_request(const PlanWords& words, const recovery::Config& config);
std::set<recovery::Store> parse_stores(const std::vector<std::string>& names,
                                       const recovery::Config& config);

}  // namespace lifeboat::cli
