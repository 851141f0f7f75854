#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "recovery/heartbeat.hpp"
#include "recovery/plan.hpp"
#include "vault/pins.hpp"

namespace lifeboat::recovery {

class Journal;

// Keeps what a restore reads from being pruned (docs/prune.md): a pin in the vault, with signs of
// life. It stays when the restore fails or is killed, so that it can be gone on with: for
// retention's keep_for_resume. A store that refuses it, then or later, does not stop the restore:
// that is told, and tried again with each sign of life.
class RestorePin {
 public:
  // Takes up the pin that an earlier call of the plan has left (the journal knows it), else pins
  // the plan's point; and then looks whether it is there. Error(not_found) when it is gone: then no
  // pin is left.
  RestorePin(const Context& context, const vault::Vault& vault, const Plan& plan, Journal& journal);
  ~RestorePin();
  RestorePin(const RestorePin&) = delete;
  RestorePin& operator=(const RestorePin&) = delete;

  const vault::RecoveryPoint& point() const { return pin_.point; }
  // The restore has ended.
  void release();

 private:
  bool take_up(const std::string& id);
  void begin(Journal& journal);
  void see_point(Journal& journal);
  void look(const std::string& why_gone);
  void write();
  bool renew();
  bool beat();
  void pin_late();
  void tell_unpinned(const Error& error) const;
  void tell_silent(const Error& error);

  const Context& c_;
  vault::Vault vault_;
  const Plan& plan_;
  vault::Pin pin_;
  std::string lost_;  // why an earlier pin counts no more
  // Of the thread of alive_, while there is one; the pin's last sign of life, too.
  bool written_ = false;
  bool silent_ = false;  // and it was told that no sign can be given
  bool released_ = false;
  std::optional<Heartbeat> alive_;
};

// Restores that hold a point, as `points`, `status` and `prune` print them: {"id", "point", "host",
// "process", "since", "last_sign_of_life", "what"}; of one that cannot be read {"id", "problem"}.
nlohmann::json pin_json(const vault::Pin& pin);
nlohmann::json pins_json(const vault::Vault& vault);

}  // namespace lifeboat::recovery
