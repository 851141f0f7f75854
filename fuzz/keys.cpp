#include "vault/keys.hpp"

#include "fuzz/targets.hpp"
#include "vault/object.hpp"

// The first byte says what the rest is: the payload of a wrapped key, or the text of a key file.
namespace lifeboat::fuzz {

void keys(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.substr(1);
  if (bytes[0] % 2 == 0) {
    vault::parse_key_text(rest, "a file");
    return;
  }
  const std::string name = "keys/0123456789abcdef";
  const auto key = vault::parse_key(name, vault::frame(vault::ObjectType::key, name, rest));
  // A passphrase would take its time, as it is meant to.
  const vault::KeyMaterial file{vault::KeyMaterial::Kind::file,
                                vault::Secret(std::string(vault::kKeySize, 'f')), "a file"};
  if (key.info.kind == vault::KeyKind::passphrase && !vault::valid(key.cost)) {
    broken("a scrypt without bounds was taken");
  }
  vault::unwrap(key, file);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(keys)
