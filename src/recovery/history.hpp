#pragma once

#include "vault/logbook.hpp"

namespace lifeboat::recovery {

// The logbook as restores and readers see it: each partition of Kafka is the history that its
// cluster went on with. Where a log was cut back and written anew (log_name_since()), what was
// archived before is taken up to there, and what came since from there on; records that the cluster
// lost stay in the vault and are left out. Archivers and `status` look at the logs one by one.
vault::Logbook load_history(vault::Vault vault);
// The same for one that is loaded; again after refresh().
void follow_histories(vault::Logbook& logbook);

}  // namespace lifeboat::recovery
