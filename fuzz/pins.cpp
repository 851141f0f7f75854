#include "fuzz/targets.hpp"
#include "vault/object.hpp"
#include "vault/pin_format.hpp"

// The payload of a pin, with the point in it: what is taken is written as it was read.
namespace lifeboat::fuzz {

void pins(std::string_view bytes) {
  const std::string id = "20261122T170506123Z-0123456789abcdef";
  const auto read = [&](std::string_view payload) {
    const auto object = vault::frame(vault::ObjectType::pin, vault::pin_name(id), payload);
    return vault::open_pin(nullptr, id, object);
  };
  const auto pin = read(bytes);
  const auto again = vault::encode(pin);
  if (vault::encode(taken([&] { return read(again); })) != again) {
    broken("a pin is not what was read");
  }
  vault::describe(pin);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(pins)
