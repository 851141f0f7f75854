#include "vault/pins.hpp"

#include "base/error.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

const std::string kPrefix = pin_name("");

// The version is that of before or when it was read, and contents never come back: a swap by it
// replaces what was read, or nothing.
struct Seen {
  std::string version;
  Pin pin;
};
std::optional<Seen> see(const Vault& vault, const std::string& id) {
  const auto name = pin_name(id);
  auto info = vault.store().stat(name);
  auto object = info ? vault.store().get(name) : std::nullopt;
  if (!object) return std::nullopt;
  return Seen{info->version, open_pin(vault.sealing(), id, std::move(*object))};
}

bool swap(const Vault& vault, const Seen& seen, const Pin& pin) {
  const auto name = pin_name(pin.id);
  auto object = seal(vault.sealing(), ObjectType::pin, name, encode(pin));
  return swap_object(vault, name, object, seen.version) == store::PutResult::written;
}

}  // namespace

std::string make_pin_id(Clock& clock, Random& random) {
  return compact_time(clock.now()) + "-" + random.hex(16);
}

std::optional<ListedPin> read_pin(const Vault& vault, const std::string& id) {
  auto object = vault.store().get(pin_name(id));
  if (!object) return std::nullopt;
  ListedPin out{id, std::nullopt, ""};
  try {
    out.pin = open_pin(vault.sealing(), id, std::move(*object));
  } catch (const Error& error) {
    if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
    out.problem = error.what();
  }
  return out;
}

std::vector<ListedPin> list_pins(const Vault& vault) {
  std::vector<ListedPin> out;
  for (const auto& name : store::list_twice(vault.store(), kPrefix)) {
    if (auto pin = read_pin(vault, name.substr(kPrefix.size()))) out.push_back(std::move(*pin));
  }
  return out;
}

void write_pin(const Vault& vault, const Pin& pin) {
  const auto name = pin_name(pin.id);
  const auto payload = encode(pin);
  auto object = seal(vault.sealing(), ObjectType::pin, name, payload);
  open_pin(vault.sealing(), pin.id, object);  // what could not be read back is not written
  if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
      !holds(vault, ObjectType::pin, name, payload)) {
    throw Error(Code::conflict, "pin " + name, "exists already and is another one",
                "run the same command again");
  }
}

bool renew_pin(const Vault& vault, const std::string& id, std::int64_t process, Timestamp now) {
  for (;;) {
    auto seen = see(vault, id);
    if (!seen || seen->pin.revoked) return false;
    auto pin = seen->pin;
    pin.process = process;
    pin.renewed = now;
    ++pin.beats;
    if (swap(vault, *seen, pin)) return true;
  }
}

bool revoke_pin(const Vault& vault, const std::string& id, Timestamp now, const std::string& why,
                const std::optional<Timestamp>& seen_alive_at) {
  for (;;) {
    auto seen = see(vault, id);
    if (!seen || seen->pin.revoked) return false;
    if (seen_alive_at && seen->pin.alive_at() != *seen_alive_at) return false;
    auto pin = seen->pin;
    pin.revoked = now;
    pin.why = why;
    if (swap(vault, *seen, pin)) return true;
  }
}

void release_pin(const Vault& vault, const std::string& id, Timestamp now) {
  try {
    vault.store().remove(pin_name(id));
  } catch (const Error& error) {
    if (error.code() != Code::denied) throw;
    revoke_pin(vault, id, now, "it has ended");
  }
}

}  // namespace lifeboat::vault
