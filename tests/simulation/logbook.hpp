#pragma once

#include "base/cancel.hpp"
#include "simulation/model.hpp"
#include "vault/logbook_keeper.hpp"

namespace lifeboat::vault::simulation {

// What archivers and those who keep and read the logbook do in one life.
struct LogbookLives {
  Model& model;
  Random& chance;
  Millis merge_after;   // KeeperOptions
  Millis remove_after;  // likewise

  // Goes on where the logbook ends; several at once write the same logs.
  void archive(const Vault& vault, Clock& clock) const;
  // True when there was something to do.
  bool keep(const Vault& vault, Clock& clock) const;
  // Reads `most` of what was promised before it began, byte for byte.
  void read(const Vault& vault, std::size_t most) const;
  // What makes a point's snapshots consistent.
  void read(const Vault& vault, const std::vector<LogStart>& logs) const;
  // Nothing is left that another object replaced.
  void expect_no_garbage(const Vault& vault) const;
};

}  // namespace lifeboat::vault::simulation
