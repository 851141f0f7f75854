#pragma once

#include <functional>
#include <string>

#include "simulation/model.hpp"
#include "simulation/scheduler.hpp"

namespace lifeboat::vault::simulation {

// What a restore that is not finished has noted in its state folder.
struct RestoreJournal {
  std::string pin;
  bool seen = false;     // the point, after the pin was written
  std::size_t read = 0;  // snapshots
};

// A snapshot is what the backup was given.
void compare(const Model& model, const Vault& vault, const std::string& point,
             const std::string& snapshot);

// Restores that pin their point, as recovery/restore_pin does: they read slowly, sleep, die, and
// are gone on with.
struct RestoreLives {
  Model& model;
  Random& chance;
  Scheduler& scheduler;
  Millis pin_life;
  bool pins_late;    // looks at the point before it pins it
  bool goes_unseen;  // one that is gone on with does not look

  // Takes up the pin of the journal, or pins some point, and sees it. False: there is none, or it
  // was dropped just then, or the pin was revoked and its point is gone.
  bool begin(const Vault& vault, Clock& clock, const std::string& host,
             RestoreJournal& journal) const;
  // All that the point needs, byte for byte, while the pin counts; then the pin goes.
  void read(const Vault& vault, Clock& clock, RestoreJournal& journal,
            const std::function<void(const RecoveryPoint&)>& read_logs) const;
  // A sign of life. False: the pin counts no more.
  bool beat(const Vault& vault, Clock& clock, const std::string& pin) const;

 private:
  bool take_up(const Vault& vault, Clock& clock, RestoreJournal& journal) const;
  bool pin_one(const Vault& vault, Clock& clock, const std::string& host,
               RestoreJournal& journal) const;
  bool look(const Vault& vault, Clock& clock, RestoreJournal& journal,
            const std::string& point) const;
};

}  // namespace lifeboat::vault::simulation
