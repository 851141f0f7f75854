#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/checksum.hpp"
#include "base/types.hpp"
#include "vault/secret.hpp"

// What the vault takes of cryptography, by OpenSSL. Error(failed) when OpenSSL refuses.
namespace lifeboat::vault {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kTagSize = 16;

// From the operating system's generator: for keys and salts, never from a seed.
void fill_with_chance(char* bytes, std::size_t size);
Secret random_key();

// HMAC-SHA256 (RFC 2104).
Digest hmac_sha256(std::string_view key, std::string_view bytes);
// HKDF-SHA256 (RFC 5869), 32 bytes.
Secret hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info);

// scrypt (RFC 7914), 32 bytes. Memory: 128 * 2^log2_n * r bytes, at most kMostScrypt.
struct ScryptCost {
  std::uint32_t log2_n = 17;
  std::uint32_t r = 8;
  std::uint32_t p = 1;
};
constexpr ByteCount kMostScrypt{256u << 20};
bool valid(const ScryptCost& cost);
Secret scrypt(std::string_view passphrase, std::string_view salt, const ScryptCost& cost);

// AES-256-GCM. `out` has room for the pieces' bytes and the tag; it may be where the only piece is.
using Nonce = std::array<unsigned char, 12>;
void gcm_seal(std::string_view key, const Nonce& nonce, std::string_view aad,
              std::span<const std::string_view> pieces, char* out);
// In place: `size` bytes, the tag their last 16. False when they are not what was sealed with this
// key, nonce and `aad`; the bytes are of no use then.
bool gcm_open(std::string_view key, const Nonce& nonce, std::string_view aad, char* bytes,
              std::size_t size);

// Takes as long whatever differs.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace lifeboat::vault
