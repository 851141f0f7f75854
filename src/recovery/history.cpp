#include "recovery/history.hpp"

#include <algorithm>
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

std::vector<LostPart> lost_parts(const vault::Logbook& logbook, const kafka::LogId& log) {
  std::map<kafka::LeaderEpoch, vault::LogSummary> by_epoch;  // -1: as it was at first
  for (auto& summary : logbook.logs()) {
    const auto branch = parse_kafka_branch(summary.log);
    if (branch ? branch->log != log : summary.log != log_name(log)) continue;
    by_epoch[branch ? branch->epoch : kafka::LeaderEpoch(-1)] = std::move(summary);
  }
  std::vector<LostPart> parts;
  // Kept is what lies below all that came later.
  std::optional<Position> kept;
  for (auto it = by_epoch.rbegin(); it != by_epoch.rend(); ++it) {
    const auto& summary = it->second;
    const auto from = kept ? std::max(*kept, summary.first) : summary.next;
    if (from < summary.next) {
      parts.push_back({{log, summary}, {Offset(from.value), Offset(summary.next.value)}});
    }
    kept = kept ? std::min(*kept, summary.first) : summary.first;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

vault::Logbook load_history(vault::Vault vault) {
  auto logbook = vault::Logbook::load(vault);
  follow_histories(logbook);
  return logbook;
}

}  // namespace lifeboat::recovery
