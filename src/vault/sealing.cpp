#include "vault/sealing.hpp"

#include <cstring>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "vault/object.hpp"

namespace lifeboat::vault {
namespace {

Nonce nonce_of(SealedPart part, ByteCount at) {
  Nonce nonce;
  auto number = static_cast<std::uint32_t>(part);
  std::memcpy(nonce.data(), &number, 4);
  std::memcpy(nonce.data() + 4, &at.value, 8);
  return nonce;
}

std::string_view view(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

Salt Salt::fresh() {
  Salt salt;
  fill_with_chance(salt.bytes.data(), salt.bytes.size());
  return salt;
}

Salt Salt::of(std::string_view bytes) {
  Salt salt;
  std::memcpy(salt.bytes.data(), bytes.data(), salt.bytes.size());
  return salt;
}

void ObjectSeal::seal(SealedPart part, ByteCount at, std::string_view aad,
                      std::span<const std::string_view> pieces, char* out) const {
  gcm_seal(key_.view(), nonce_of(part, at), aad, pieces, out);
}

void ObjectSeal::seal_tail(SealedPart part, ByteCount at, std::string_view aad, std::string& bytes,
                           std::size_t from) const {
  std::size_t size = bytes.size() - from;
  bytes.resize(bytes.size() + kTagSize);
  const std::string_view pieces[] = {{bytes.data() + from, size}};
  gcm_seal(key_.view(), nonce_of(part, at), aad, pieces, bytes.data() + from);
}

std::string_view ObjectSeal::open(SealedPart part, ByteCount at, std::string_view aad, char* bytes,
                                  std::size_t size) const {
  if (!gcm_open(key_.view(), nonce_of(part, at), aad, bytes, size)) {
    throw_corrupt(type_, name_,
                  "does not open with the vault's key: it was changed, or put here from elsewhere");
  }
  return {bytes, size - kTagSize};
}

Sealing::Sealing(Secret vault_key, std::string vault_id)
    : vault_key_(std::move(vault_key)), vault_id_(std::move(vault_id)) {
  names_ = hkdf_sha256(vault_key_.view(), vault_id_, "lifeboat names");
}

ObjectSeal Sealing::object(ObjectType type, const std::string& name, const Salt& salt) const {
  std::string info = "lifeboat object";
  append_le<std::uint16_t>(info, kFormatVersion);
  append_le<std::uint8_t>(info, static_cast<std::uint8_t>(type));
  info += vault_id_ + "/" + name;
  return {hkdf_sha256(vault_key_.view(), salt.view(), info), type, name};
}

Digest Sealing::name_of(const Digest& content) const {
  return hmac_sha256(names_.view(), view(content));
}

Digest Sealing::root_check(std::string_view root) const {
  auto key = hkdf_sha256(vault_key_.view(), vault_id_, "lifeboat root");
  return hmac_sha256(key.view(), root);
}

}  // namespace lifeboat::vault
