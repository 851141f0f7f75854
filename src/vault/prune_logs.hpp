#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vault/log_window.hpp"
#include "vault/logbook_survey.hpp"
#include "vault/pruned_logs.hpp"

namespace lifeboat::vault {

// Of a log, what goes: what was not pruned before and is not needed.
struct LogPruning {
  LogVerdict verdict;
  Position first, next;  // what there is of it now
  ByteCount bytes;       // stored, of the extents that go
  std::uint64_t extents = 0;
};

// The logs of which something goes, by name. Reads where their extents lie, not what they hold.
std::vector<LogPruning> plan_pruning(const Vault& vault, const std::vector<PointLogs>& points);

// What was named, but what these points need. Logs of which nothing is named stay as they are.
PrunedLogs still_unneeded(const Vault& vault, const PrunedLogs& named,
                          const std::vector<PointLogs>& points);

// Why a point that is about to be published cannot rely on the logbook, as it is or as it will be
// when what is condemned (prune_word.hpp) is pruned. nullopt: [position, until) is there and stays.
std::optional<std::string> why_lacking(const Logbook& logbook, const PrunedLogs& condemned,
                                       const LogStart& need);

// From now on nothing else is left of these logs. `id` as in write_pruned(). The records of before
// become one; a log that is gone stays in it, or an archiver that meets it again would go back.
void prune_logs(const Vault& vault, const std::string& id, const PrunedLogs& logs,
                const std::string& fresh_id);

}  // namespace lifeboat::vault
