#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "clickhouse/schema.hpp"
#include "recovery/plan.hpp"

namespace lifeboat::recovery {

struct StepTime {
  std::string name;
  double seconds = 0;
  bool skipped = false;  // an earlier run had done it
};

struct ApplyResult {
  std::vector<StepTime> steps;
  std::vector<std::string> notes;  // what the operator should know: gaps, bounded cursors
};

// Does the plan, step by step; the journal (state/<plan id>.journal) says what is done, so that a
// second call after a crash or an error goes on. The point is pinned meanwhile, so that prune
// leaves what it needs (restore_pin.hpp). Before each step the world is compared with the plan:
// Error(refused) when it is not as planned. Steps that wait for a server say so by Reporter::note()
// and wait until `wait_limit` has passed.
ApplyResult apply(const Context& context, vault::Vault vault, const Plan& plan, Millis wait_limit);

// Plans that were begun in this state folder and are not finished; oldest first.
std::vector<Plan> unfinished_plans(const Config& config);
// Error(refused) when one of them has detached Kafka tables that `graph` lacks therefore: a point
// taken now would lack them too.
void refuse_while_detached(const Config& config, const clickhouse::SchemaGraph& graph);
void save_plan(const Config& config, const Plan& plan);

}  // namespace lifeboat::recovery
