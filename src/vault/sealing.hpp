#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vault/crypto.hpp"
#include "vault/object.hpp"

namespace lifeboat::vault {

// How an encrypted vault's objects are sealed; docs/format.md has the bytes. Every object has a key
// of its own, made of the vault's key, chance (the salt, drawn anew for each write) and all that
// the object is: vault, name, type, version. So no nonce is used twice under one key, whoever
// writes and whatever crashed, and bytes that stand at another place than where they were written
// do not open.

// Drawn by the writer of an object, stored in it.
struct Salt {
  std::array<char, 16> bytes{};
  static Salt fresh();
  static Salt of(std::string_view bytes);  // at least 16
  std::string_view view() const { return {bytes.data(), bytes.size()}; }
  friend auto operator<=>(const Salt&, const Salt&) = default;
};
constexpr std::size_t kSaltSize = 16;

// A part of an object that is sealed by itself, so that it can be read alone. Which one it is, and
// where it lies, is its nonce.
enum class SealedPart : std::uint32_t {
  payload = 1,
  extent = 2,
  footer = 3,
  directory = 4,
  block = 5,
  chunk = 6
};

// Seals and opens the parts of one object. Immutable.
class ObjectSeal {
 public:
  ObjectSeal(Secret key, ObjectType type, std::string name)
      : key_(std::move(key)), type_(type), name_(std::move(name)) {}

  // The pieces' bytes, sealed as one, into `out`: they and kTagSize fit there.
  void seal(SealedPart part, ByteCount at, std::string_view aad,
            std::span<const std::string_view> pieces, char* out) const;
  // bytes[from, …) in place; appends the tag.
  void seal_tail(SealedPart part, ByteCount at, std::string_view aad, std::string& bytes,
                 std::size_t from) const;
  // In place; gives what was sealed. Error(corrupt) naming the object when it is not what was
  // sealed as this part, at this place, with this `aad`.
  std::string_view open(SealedPart part, ByteCount at, std::string_view aad, char* bytes,
                        std::size_t size) const;

 private:
  Secret key_;
  ObjectType type_;
  std::string name_;
};

// The keys of one encrypted vault. Immutable, thread-safe.
class Sealing {
 public:
  Sealing(Secret vault_key, std::string vault_id);

  ObjectSeal object(ObjectType type, const std::string& name, const Salt& salt) const;
  // What content is named by in the store: who does not have the key cannot tell whether the vault
  // holds what he knows.
  Digest name_of(const Digest& content) const;
  // Proves of the root object that it was written by somebody with the key.
  Digest root_check(std::string_view root) const;
  const Secret& vault_key() const { return vault_key_; }
  const std::string& vault_id() const { return vault_id_; }

 private:
  Secret vault_key_;
  std::string vault_id_;
  Secret names_;
};

}  // namespace lifeboat::vault
