#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/types.hpp"

namespace lifeboat::vault {

// The frame around every object of a vault; docs/format.md has the bytes.
enum class ObjectType : std::uint8_t {
  root = 1,
  pack = 2,
  snapshot = 3,
  logbook = 4,
  point = 5,
  summary = 6,
  key = 7,
  word = 8,
  proof = 9,
  pruned = 10,
  pin = 11,
};
std::string_view to_string(ObjectType type);

constexpr std::uint16_t kFormatVersion = 1;
constexpr std::size_t kHeaderSize = 24;
constexpr std::size_t kChecksumSize = 4;
constexpr std::uint8_t kSealed = 0x80;  // flag: encrypted with the vault's key

// header, payload, checksum. The object's name is part of the checksum.
std::string frame(ObjectType type, const std::string& name, std::string_view payload,
                  std::uint8_t flags = 0);

struct Opened {
  std::string_view payload;  // views the bytes that were given
  std::uint8_t flags = 0;
};
// Undoes frame(). Error(corrupt) for any byte that is not as it was written and for an object that
// stands under another name; Error(unsupported) for a newer format.
Opened unframe(ObjectType type, const std::string& name, std::string_view bytes);

// The same, sealed by the vault's key; without one (nullptr: a plain vault) they are the same.
class Sealing;
std::string seal(const Sealing* sealing, ObjectType type, const std::string& name,
                 std::string_view payload, std::uint8_t flags = 0);
// Opens it where it lies. Error(corrupt) also for a plain object in an encrypted vault, and the
// other way round.
Opened unseal(const Sealing* sealing, ObjectType type, const std::string& name, std::string& bytes);

// seal() without a copy: begin_object(), the payload appended, finish_object().
std::string begin_object(const Sealing* sealing);
void finish_object(const Sealing* sealing, ObjectType type, const std::string& name,
                   std::string& object, std::uint8_t flags = 0);

// That an object is sealed when the vault is encrypted, and else is not. Error(corrupt).
void check_sealed(const Sealing* sealing, ObjectType type, const std::string& name,
                  std::uint8_t flags);

// The header's first bytes: what a sealed object's seal covers beside its content.
constexpr std::size_t kSealedHeader = 20;

// The 24 bytes before the payload, and their check (also of the length of the whole object).
std::string make_header(ObjectType type, const std::string& name, ByteCount payload_size,
                        std::uint8_t flags);
struct Header {
  ByteCount payload_size;
  std::uint8_t flags = 0;
  std::uint32_t crc = 0;
};
Header parse_header(ObjectType type, const std::string& name, std::string_view bytes);

// The errors of all readers, so that each names the object, its kind and what to do.
[[noreturn]] void throw_corrupt(ObjectType type, const std::string& name, const std::string& what);
[[noreturn]] void throw_newer(ObjectType type, const std::string& name, std::uint16_t version);
// For what checksums say is as it was written: "its chunk … has codec 7, which this one …".
[[noreturn]] void throw_newer(ObjectType type, const std::string& name, const std::string& what);

}  // namespace lifeboat::vault
