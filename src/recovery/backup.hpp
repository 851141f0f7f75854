#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "recovery/context.hpp"
#include "vault/chunks.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {

struct BackupRequest {
  std::string label;  // the user's, may be empty
  // True when an archiver runs beside (the daemon's own points): then none is started.
  bool archiver_runs = false;
  // PostgreSQL's files are all read, those too that did not change since the last point
  // (postgres.read_files).
  bool reread = false;
};

// Takes one recovery point of all stores in lifeboat.yaml: first the point is open in the vault, so
// that pruners see it, then snapshots of each and the exact cut of ClickHouse, and last the point
// is published. Whatever goes wrong before leaves no point and nothing held; running it again makes
// a new point and finds the chunks that are there. Error(conflict) when a pruner has taken it for
// dead meanwhile.
vault::RecoveryPoint take_point(const Context& context, vault::Vault vault,
                                const BackupRequest& request);

// The parts, each returns its document for RecoveryPoint::stores (see docs/points.md). Each
// snapshot says for which point it was taken: no two have the same root, so that one can be deleted
// without harm to another (docs/prune.md).
nlohmann::json snapshot_postgres(const Context& context, vault::Chunks& chunks,
                                 const std::string& point, bool reread);
nlohmann::json snapshot_kafka(const Context& context, vault::Chunks& chunks,
                              const std::string& point);
nlohmann::json snapshot_clickhouse(const Context& context, vault::Chunks& chunks,
                                   const std::string& name);
nlohmann::json snapshot_zookeeper(const Context& context, vault::Chunks& chunks,
                                  const std::string& point);

// What a crash of an earlier `backup` may have left: Kafka tables that are held, unfinished BACKUP
// folders. Safe while nothing else of Lifeboat takes a point (the caller holds BackupLock).
void repair_after_crash(const Context& context);
// The same unless a point is being taken or a restore is under way just now (false). For the start
// of the daemon: after a crash of the whole machine tables may be held with no watchdog left.
bool repair_if_idle(const Context& context);

}  // namespace lifeboat::recovery
