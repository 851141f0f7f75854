#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/pin_format.hpp"
#include "vault/vault.hpp"

// Pins keep what a restore reads: `pins/<id>`, heeded by pruners (docs/prune.md). Its states only
// go forward: living, and renewed; revoked; gone.
namespace lifeboat::vault {

// A pin, or why it cannot be read: then what it needs is not known.
struct ListedPin {
  std::string id;
  std::optional<Pin> pin;
  std::string problem;
};
std::vector<ListedPin> list_pins(const Vault& vault);  // oldest first
// nullopt: it is gone.
std::optional<ListedPin> read_pin(const Vault& vault, const std::string& id);

std::string make_pin_id(Clock& clock, Random& random);
// Who pins looks afterwards whether the point is there: only then nothing that it needs is deleted
// while the pin counts.
void write_pin(const Vault& vault, const Pin& pin);
// A sign of life, by process `process`. False: it was revoked, or is gone.
bool renew_pin(const Vault& vault, const std::string& id, std::int64_t process, Timestamp now);

// Revokes it unless it has changed since it was read; with nullopt whatever it is. False: it has
// changed, or is gone.
bool revoke_pin(const Vault& vault, const std::string& id, Timestamp now, const std::string& why,
                const std::optional<Timestamp>& seen_alive_at = {});
// The restore has ended: nothing is left of it. Who may not delete leaves it revoked.
void release_pin(const Vault& vault, const std::string& id, Timestamp now);

}  // namespace lifeboat::vault
