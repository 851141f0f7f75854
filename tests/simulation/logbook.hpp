#pragma once

#include "base/cancel.hpp"
#include "simulation/logbook_model.hpp"
#include "vault/logbook_keeper.hpp"

namespace lifeboat::vault::simulation {

// What archivers and those who keep and read the logbook do in one life.
struct LogbookLives {
  LogbookModel& model;
  Random& chance;
  Millis merge_after;   // KeeperOptions
  Millis remove_after;  // likewise

  // Goes on where the logbook ends; several at once write the same logs.
  void archive(const Vault& vault, Clock& clock) const;
  // True when there was something to do.
  bool keep(const Vault& vault, Clock& clock) const;
  // What a point that is open says of the logs, as a backup does: WAL that makes it consistent, and
  // where Kafka's log begins now. `any`: WAL that may be
  // older than what earlier ones named.
  nlohmann::json starts(bool any) const;
  // Reads `most` of what was promised before it began: byte for byte, or told that it was pruned.
  void read(const Vault& vault, std::size_t most) const;
  // What makes a point's snapshots consistent.
  void read(const Vault& vault, const std::vector<LogStart>& logs) const;
  // Nothing is left that another object replaced, nor much of what was pruned.
  void expect_no_garbage(const Vault& vault) const;

 private:
  void read(const Logbook& book, const LogbookModel::Part& part) const;
};

}  // namespace lifeboat::vault::simulation
