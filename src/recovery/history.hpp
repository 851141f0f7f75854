#pragma once

#include "recovery/read_back.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::recovery {

// The logbook as restores and readers see it: each partition of Kafka is the history that its
// cluster went on with. Where a log was cut back and written anew (log_name_since()), what was
// archived before is taken up to there, and what came since from there on; records that the cluster
// lost stay in the vault and are left out. Archivers and `status` look at the logs one by one.
vault::Logbook load_history(vault::Vault vault);
// The same for one that is loaded; again after refresh().
void follow_histories(vault::Logbook& logbook);

// A range of an archived log that its cluster did not go on with.
struct LostPart {
  ArchivedTopic::Partition partition;  // `summary` is that of the log in which it lies
  ReadRange range;
};
// Of a partition, the oldest first; the ranges of several may overlap. `logbook` follows no
// histories. Where nothing was proven to be the same, what was written anew may be the same
// records.
std::vector<LostPart> lost_parts(const vault::Logbook& logbook, const kafka::LogId& log);

}  // namespace lifeboat::recovery
