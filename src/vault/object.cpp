#include "vault/object.hpp"

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "vault/sealing.hpp"

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
    case ObjectType::pack:
      return "move the object away and run lifeboat backup: what still exists at its source is "
             "written again; lifeboat verify names the points that need it";
    case ObjectType::snapshot:
    case ObjectType::point:
      return "use another point (lifeboat points), or take a new one (lifeboat backup)";
    case ObjectType::logbook:
      return "run lifeboat verify: it names the ranges that are lost, and the points they touch";
    case ObjectType::summary:
      return "nothing is lost: what it told is read from the logbook's footers. Move it out of the "
             "vault; lifeboat run writes another";
    case ObjectType::key:
      return "copy it back from a replica of the vault, or use another key (lifeboat key ls)";
    case ObjectType::word:
      return "nothing is lost: backups store all anew while it is there. Move it out of the vault "
             "when "
             "no prune is running";
    case ObjectType::pruned:
      return "nothing is lost: more is shown of the logbook than was kept, with holes in it. Copy "
             "it "
             "back from a replica of the vault, or move it out of the vault";
    case ObjectType::proof:
      return "no data is lost. Run lifeboat verify --data: it proves anew what this told, and "
             "removes it";
    case ObjectType::pin:
      return "no data is lost, and nothing is deleted while it is there. When no restore is under "
             "way: lifeboat prune --unpin and what follows `pins/`";
  }
  return "run lifeboat verify";
}

}  // namespace

std::string_view to_string(ObjectType type) {
  switch (type) {
    case ObjectType::root:
      return "root";
    case ObjectType::pack:
      return "pack";
    case ObjectType::snapshot:
      return "snapshot";
    case ObjectType::logbook:
      return "logbook";
    case ObjectType::point:
      return "point";
    case ObjectType::summary:
      return "summary";
    case ObjectType::key:
      return "key";
    case ObjectType::word:
      return "word";
    case ObjectType::pruned:
      return "record of what was pruned";
    case ObjectType::proof:
      return "proof";
    case ObjectType::pin:
      return "pin";
  }
  return "object";
}

void throw_corrupt(ObjectType type, const std::string& name, const std::string& what) {
  throw Error(Code::corrupt, subject(type, name), what, hint(type));
}

void throw_newer(ObjectType type, const std::string& name, std::uint16_t version) {
  throw_newer(
      type, name,
      "format " + std::to_string(version) + "; this one reads " + std::to_string(kFormatVersion));
}

void throw_newer(ObjectType type, const std::string& name, const std::string& what) {
  throw Error(Code::unsupported, subject(type, name), "written by a newer Lifeboat: " + what,
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

std::string frame(ObjectType type, const std::string& name, std::string_view payload,
                  std::uint8_t flags) {
  std::string out;
  out.reserve(kHeaderSize + payload.size() + kChecksumSize);
  out = make_header(type, name, ByteCount(payload.size()), flags);
  auto header_crc = load_le<std::uint32_t>(out.data() + kHeaderCrcAt);
  out += payload;
  append_le<std::uint32_t>(out, crc32c(payload, header_crc));
  return out;
}

Opened unframe(ObjectType type, const std::string& name, std::string_view bytes) {
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

std::string begin_object(const Sealing* sealing) {
  return std::string(kHeaderSize + (sealing == nullptr ? 0 : kSaltSize), '\0');
}

void finish_object(const Sealing* sealing, ObjectType type, const std::string& name,
                   std::string& object, std::uint8_t flags) {
  std::size_t size = object.size() - kHeaderSize;
  if (sealing == nullptr) {
    object.replace(0, kHeaderSize, make_header(type, name, ByteCount(size), flags));
  } else {
    auto header = make_header(type, name, ByteCount(size + kTagSize), flags | kSealed);
    object.replace(0, kHeaderSize, header);
    auto salt = Salt::fresh();
    object.replace(kHeaderSize, kSaltSize, salt.view());
    constexpr auto at = kHeaderSize + kSaltSize;
    sealing->object(type, name, salt)
        .seal_tail(SealedPart::payload, ByteCount(at), header.substr(0, kSealedHeader), object, at);
  }
  auto header_crc = load_le<std::uint32_t>(object.data() + kHeaderCrcAt);
  append_le<std::uint32_t>(object,
                           crc32c(std::string_view(object).substr(kHeaderSize), header_crc));
}

std::string seal(const Sealing* sealing, ObjectType type, const std::string& name,
                 std::string_view payload, std::uint8_t flags) {
  auto object = begin_object(sealing);
  object.reserve(object.size() + payload.size() + kTagSize + kChecksumSize);
  object += payload;
  finish_object(sealing, type, name, object, flags);
  return object;
}

Opened unseal(const Sealing* sealing, ObjectType type, const std::string& name,
              std::string& bytes) {
  auto opened = unframe(type, name, bytes);
  check_sealed(sealing, type, name, opened.flags);
  if (sealing == nullptr) return opened;
  if (opened.payload.size() < kSaltSize + kTagSize) {
    throw_corrupt(type, name, "is too short for a sealed object");
  }
  constexpr auto at = kHeaderSize + kSaltSize;
  auto seal = sealing->object(type, name, Salt::of(opened.payload));
  opened.payload = seal.open(SealedPart::payload, ByteCount(at),
                             std::string_view(bytes).substr(0, kSealedHeader), bytes.data() + at,
                             opened.payload.size() - kSaltSize);
  opened.flags &= static_cast<std::uint8_t>(~kSealed);
  return opened;
}

void check_sealed(const Sealing* sealing, ObjectType type, const std::string& name,
                  std::uint8_t flags) {
  bool sealed = (flags & kSealed) != 0;
  if (sealed == (sealing != nullptr)) return;
  throw_corrupt(type, name,
                sealed ? "is sealed, while its vault is plain"
                       : "is not sealed, while its vault is encrypted: it was put here by somebody "
                         "without the vault's key");
}

}  // namespace lifeboat::vault
