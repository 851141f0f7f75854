#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/types.hpp"

namespace lifeboat::vault {

// The frame around every object of a vault; docs/format.md has the bytes.
enum class ObjectType : std::uint8_t {
  root = 1,
  chunk = 2,
  snapshot = 3,
  logbook = 4,
  point = 5,
  summary = 6,
};
std::string_view to_string(ObjectType type);

constexpr std::uint16_t kFormatVersion = 1;
constexpr std::size_t kHeaderSize = 24;
constexpr std::size_t kChecksumSize = 4;

// header, payload, checksum. The object's name is part of the checksum.
std::string seal(ObjectType type, const std::string& name, std::string_view payload,
                 std::uint8_t flags = 0);

struct Opened {
  std::string_view payload;  // views the bytes that were given
  std::uint8_t flags = 0;
};
// Undoes seal(). Error(corrupt) for any byte that is not as it was written and for an object that
// stands under another name; Error(unsupported) for a newer format.
Opened unseal(ObjectType type, const std::string& name, std::string_view bytes);

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

}  // namespace lifeboat::vault
