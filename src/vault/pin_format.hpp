#pragma once

#include <optional>
#include <string>

#include "vault/point_format.hpp"

// The bytes of `pins/<id>`; docs/format.md. What is done with them: pins.hpp.
namespace lifeboat::vault {

// That somebody restores a point. It holds the point itself, so that what the restore needs is
// known even when the point was removed just then.
struct Pin {
  std::string id;  // <time>-<16 hex digits>: drawn anew for each, and tells nothing
  RecoveryPoint point;
  bool follows = false;  // it reads the logs from the point on, too
  Timestamp created;     // when the restore began
  std::string host;      // who restores: the machine…
  std::string folder;    // …the state folder there…
  std::int64_t process = 0;
  std::string plan;                    // …and the plan
  std::optional<Timestamp> revoked{};  // since then it counts no more…
  std::string why{};                   // …and why
  // The restore's last sign of life, and how many there were: no two contents are equal bytes.
  std::optional<Timestamp> renewed{};
  std::uint64_t beats = 0;

  Timestamp alive_at() const { return renewed ? std::max(created, *renewed) : created; }
};

std::string pin_name(const std::string& id);  // pins/<id>
std::string encode(const Pin& pin);
// What stands under pins/<id>. Error(corrupt), Error(unsupported).
Pin open_pin(const Sealing* sealing, const std::string& id, std::string object);

// "is being restored by … (process …) since …, last sign of life at …".
std::string describe(const Pin& pin);

}  // namespace lifeboat::vault
