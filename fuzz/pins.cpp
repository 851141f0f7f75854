#include "fuzz/targets.hpp"
#include "vault/object.hpp"
#include "vault/pin_format.hpp"

// The payload of a pin, with the point in it: what is taken is written as it was read.
namespace lifeboat::fuzz {

void pins(std::string_view bytes) {
  const std::string id = "20261122T170506123Z-0123456789abcdef";
  const auto name = vault::pin_name(id);
  const auto pin = vault::open_pin(nullptr, id, vault::frame(vault::ObjectType::pin, name, bytes));
  const auto again = vault::encode(pin);
  const auto read = vault::open_pin(nullptr, id, vault::frame(vault::ObjectType::pin, name, again));
  if (vault::encode(read) != again) broken("a pin is not what was read");
  vault::describe(pin);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(pins)
