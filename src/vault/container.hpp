#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vault/object.hpp"
#include "vault/sealing.hpp"

namespace lifeboat::vault {

class Vault;

// An object that is read from its end: the header, parts one after the other, a footer that says
// what they are, a trailer that says where the footer is. Those of the logbook, and packs;
// docs/format.md has the bytes.
constexpr std::size_t kTrailerSize = 24;

// What the last bytes of an object say of its footer.
struct Trailer {
  std::size_t footer_size = 0;
  std::uint32_t footer_crc = 0;
  std::uint8_t flags = 0;
};
// `tail` is the object's end, at least its trailer (or all of an object that is too short). Flags
// that are not `known` are refused.
Trailer parse_trailer(ObjectType type, const std::string& name, std::string_view tail,
                      std::uint8_t known = 0);

struct ContainerFooter {
  std::string stored;     // opened in place
  std::size_t begin = 0;  // of its own bytes in `stored`
  std::size_t size = 0;
  std::uint64_t at = 0;  // where the footer lies in the object, and the parts end
  std::uint8_t flags = 0;
  Salt salt;  // of a sealed object
  std::string_view bytes() const { return std::string_view(stored).substr(begin, size); }
};
// `stored` are the footer's bytes; `object_size` is that of the whole object.
ContainerFooter open_footer(const Sealing* sealing, ObjectType type, const std::string& name,
                            std::string stored, const Trailer& trailer, ByteCount object_size);
// The first bytes of an object: that they are its header, and say its length. Error(corrupt).
void check_container_header(const Sealing* sealing, ObjectType type, const std::string& name,
                            std::string_view header, ByteCount object_size);
// The footer of a whole object, header and all.
ContainerFooter open_container(const Sealing* sealing, ObjectType type, const std::string& name,
                               std::string_view object, std::uint8_t known = 0);
// That of a whole object, of which all but the footer may be damaged.
ContainerFooter find_container_footer(const Sealing* sealing, ObjectType type,
                                      const std::string& name, std::string_view object,
                                      std::uint8_t known = 0);
// That of an object in the store; reads its last 64 KiB, and more only when the footer is longer.
// Error(not_found) when it is gone.
ContainerFooter read_container_footer(const Vault& vault, ObjectType type, const std::string& name,
                                      ByteCount object_size, std::uint8_t known = 0);

// What stands before and after an object's parts.
struct ContainerEnds {
  std::string header;
  std::string end;  // footer and trailer
};
// `at` is where the parts end; the footer is sealed when there is a `seal`.
ContainerEnds finish_container(const ObjectSeal* seal, const Salt& salt, ObjectType type,
                               const std::string& name, ByteCount at, std::string footer,
                               std::uint8_t flags = 0);

}  // namespace lifeboat::vault
