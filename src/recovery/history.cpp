#include "recovery/history.hpp"

#include <map>

#include "recovery/extent_attributes.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {

void follow_histories(vault::Logbook& logbook) {
  std::map<kafka::LogId, std::map<kafka::LeaderEpoch, vault::Turn>> branches;
  for (const auto& summary : logbook.logs()) {
    if (const auto branch = parse_kafka_branch(summary.log)) {
      branches[branch->log][branch->epoch] = {summary.first, summary.log};
    }
  }
  for (const auto& [log, by_epoch] : branches) {
    std::vector<vault::Turn> turns;
    for (const auto& [epoch, turn] : by_epoch) {
      // Cut back farther than before: the earlier branch has nothing that is left.
      while (!turns.empty() && turns.back().from >= turn.from) turns.pop_back();
      turns.push_back(turn);
    }
    logbook.follow(log_name(log), std::move(turns), kLookIntoBatches);
  }
}

vault::Logbook load_history(vault::Vault vault) {
  auto logbook = vault::Logbook::load(vault);
  follow_histories(logbook);
  return logbook;
}

}  // namespace lifeboat::recovery
