#include "vault/object.hpp"

#include "base/bytes.hpp"
#include "base/checksum.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::string_view kMagic = "LIFEBOAT";
constexpr std::size_t kHeaderCrcAt = 20;

std::string subject(ObjectType type, const std::string& name) {
  return std::string(to_string(type)) + " " + name;
}

// What to do about a damaged object of this type.
std::string hint(ObjectType type) {
  switch (type) {
    case ObjectType::root:
      return "copy the object `vault` back from a replica of the vault";
    case ObjectType::chunk:
      return "move the object away and run lifeboat backup: a chunk that still exists at its "
             "source "
             "is written again; lifeboat verify names the points that need it";
    case ObjectType::snapshot:
    case ObjectType::point:
      return "use another point (lifeboat points), or take a new one (lifeboat backup)";
    case ObjectType::logbook:
      return "run lifeboat verify: it names the ranges that are lost, and the points they touch";
    case ObjectType::summary:
      return "nothing is lost: what it told is read from the logbook's footers. Move it out of the "
             "vault; lifeboat run writes another";
  }
  return "run lifeboat verify";
}

}  // namespace

std::string_view to_string(ObjectType type) {
  switch (type) {
    case ObjectType::root:
      return "root";
    case ObjectType::chunk:
      return "chunk";
    case ObjectType::snapshot:
      return "snapshot";
    case ObjectType::logbook:
      return "logbook";
    case ObjectType::point:
      return "point";
    case ObjectType::summary:
      return "summary";
  }
  return "object";
}

void throw_corrupt(ObjectType type, const std::string& name, const std::string& what) {
  throw Error(Code::corrupt, subject(type, name), what, hint(type));
}

void throw_newer(ObjectType type, const std::string& name, std::uint16_t version) {
  throw Error(Code::unsupported, subject(type, name),
              "written by a newer Lifeboat: format " + std::to_string(version) +
                  "; this one reads " + std::to_string(kFormatVersion),
              "install the Lifeboat that wrote it, or a newer one");
}

std::string make_header(ObjectType type, const std::string& name, ByteCount payload_size,
                        std::uint8_t flags) {
  std::string out(kMagic);
  append_le<std::uint16_t>(out, kFormatVersion);
  append_le<std::uint8_t>(out, static_cast<std::uint8_t>(type));
  append_le<std::uint8_t>(out, flags);
  append_le<std::uint64_t>(out, payload_size.value);
  append_le<std::uint32_t>(out, crc32c(out, crc32c(name)));
  return out;
}

Header parse_header(ObjectType type, const std::string& name, std::string_view bytes) {
  if (bytes.size() < kHeaderSize) throw_corrupt(type, name, "is cut off within its header");
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    throw_corrupt(type, name,
                  "is not an object of a vault: it does not begin with " + std::string(kMagic));
  }
  auto crc = load_le<std::uint32_t>(bytes.data() + kHeaderCrcAt);
  if (crc != crc32c(bytes.substr(0, kHeaderCrcAt), crc32c(name))) {
    throw_corrupt(type, name,
                  "its header does not match its checksum: the header was changed, or the object "
                  "was written under another name");
  }
  auto version = load_le<std::uint16_t>(bytes.data() + 8);
  if (version != kFormatVersion) throw_newer(type, name, version);
  auto found = static_cast<ObjectType>(bytes[10]);
  if (found != type) {
    throw_corrupt(type, name, "is an object of type " + std::string(to_string(found)));
  }
  return {ByteCount(load_le<std::uint64_t>(bytes.data() + 12)),
          static_cast<std::uint8_t>(bytes[11]), crc};
}

std::string seal(ObjectType type, const std::string& name, std::string_view payload,
                 std::uint8_t flags) {
  std::string out;
  out.reserve(kHeaderSize + payload.size() + kChecksumSize);
  out = make_header(type, name, ByteCount(payload.size()), flags);
  auto header_crc = load_le<std::uint32_t>(out.data() + kHeaderCrcAt);
  out += payload;
  append_le<std::uint32_t>(out, crc32c(payload, header_crc));
  return out;
}

Opened unseal(ObjectType type, const std::string& name, std::string_view bytes) {
  Header header = parse_header(type, name, bytes);
  std::size_t have = bytes.size() - kHeaderSize;
  if (have < kChecksumSize || have - kChecksumSize != header.payload_size.value) {
    throw_corrupt(type, name,
                  "has " + std::to_string(bytes.size()) + " bytes instead of " +
                      std::to_string(kHeaderSize + header.payload_size.value + kChecksumSize));
  }
  auto payload = bytes.substr(kHeaderSize, header.payload_size.value);
  auto crc = load_le<std::uint32_t>(bytes.data() + bytes.size() - kChecksumSize);
  if (crc != crc32c(payload, header.crc)) {
    throw_corrupt(type, name, "its content does not match its checksum");
  }
  return {payload, header.flags};
}

}  // namespace lifeboat::vault
