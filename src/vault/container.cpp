#include "vault/container.hpp"

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::string_view kEndMagic = "LBOATEND";
constexpr std::uint64_t kTail = 64 * 1024;
constexpr const char* kUnknownFlags = "it has flags that this one does not know";

// An object's header: its size is known when its footer is.
std::string header_of(ObjectType type, const std::string& name, ByteCount object_size,
                      std::uint8_t trailer_flags) {
  return make_header(type, name, ByteCount(object_size.value - kHeaderSize),
                     trailer_flags & kSealed);
}

// What a footer's seal covers beside it: the header, and the trailer's flags.
std::string footer_aad(ObjectType type, const std::string& name, ByteCount object_size,
                       std::uint8_t trailer_flags) {
  auto out = header_of(type, name, object_size, trailer_flags).substr(0, kSealedHeader);
  append_le<std::uint8_t>(out, trailer_flags);
  return out;
}

Error gone(ObjectType type, const std::string& name) {
  return Error(Code::not_found, std::string(to_string(type)) + " " + name,
               "is missing from the vault", "run lifeboat verify: it names what needs it");
}

}  // namespace

Trailer parse_trailer(ObjectType type, const std::string& name, std::string_view tail,
                      std::uint8_t known) {
  auto corrupt = [&](const std::string& what) { throw_corrupt(type, name, what); };
  if (tail.size() < kTrailerSize) corrupt("is cut off: it has no trailer");
  tail.remove_prefix(tail.size() - kTrailerSize);
  if (tail.substr(16) != kEndMagic) corrupt("is cut off: it does not end with its trailer");
  if (load_le<std::uint32_t>(tail.data() + 12) != crc32c(tail.substr(0, 12), crc32c(name))) {
    corrupt(
        "its trailer does not match its checksum: it was changed, or the object was written "
        "under another name");
  }
  auto version = load_le<std::uint16_t>(tail.data() + 8);
  if (version != kFormatVersion) throw_newer(type, name, version);
  auto flags = static_cast<std::uint8_t>(tail[11]);
  if (tail[10] != static_cast<char>(type)) {
    corrupt("is not a " + std::string(to_string(type)) + " object");
  }
  if ((flags & ~(known | kSealed)) != 0) throw_newer(type, name, kUnknownFlags);
  return {load_le<std::uint32_t>(tail.data()), load_le<std::uint32_t>(tail.data() + 4), flags};
}

ContainerFooter open_footer(const Sealing* sealing, ObjectType type, const std::string& name,
                            std::string stored, const Trailer& trailer, ByteCount object_size) {
  auto corrupt = [&](const std::string& what) { throw_corrupt(type, name, what); };
  if (stored.size() != trailer.footer_size || crc32c(stored, crc32c(name)) != trailer.footer_crc) {
    corrupt("its footer does not match its checksum");
  }
  check_sealed(sealing, type, name, trailer.flags);
  if (object_size.value < kHeaderSize + stored.size() + kTrailerSize) {
    corrupt("its footer is longer than the object");
  }
  ContainerFooter out;
  out.size = stored.size();
  out.at = object_size.value - kTrailerSize - stored.size();
  out.flags = trailer.flags;
  if (sealing != nullptr) {
    if (stored.size() < kSaltSize + kTagSize) corrupt("its footer is too short");
    out.salt = Salt::of(stored);
    auto opened = sealing->object(type, name, out.salt)
                      .open(SealedPart::footer, ByteCount(out.at),
                            footer_aad(type, name, object_size, trailer.flags),
                            stored.data() + kSaltSize, stored.size() - kSaltSize);
    out.begin = kSaltSize;
    out.size = opened.size();
  }
  out.stored = std::move(stored);
  return out;
}

void check_container_header(const Sealing* sealing, ObjectType type, const std::string& name,
                            std::string_view bytes, ByteCount object_size) {
  Header header = parse_header(type, name, bytes);
  check_sealed(sealing, type, name, header.flags);
  if ((header.flags & ~kSealed) != 0) throw_newer(type, name, kUnknownFlags);
  if (header.payload_size.value != object_size.value - kHeaderSize) {
    throw_corrupt(type, name,
                  "has " + std::to_string(object_size.value) + " bytes instead of " +
                      std::to_string(header.payload_size.value + kHeaderSize));
  }
}

ContainerFooter open_container(const Sealing* sealing, ObjectType type, const std::string& name,
                               std::string_view object, std::uint8_t known) {
  check_container_header(sealing, type, name, object, ByteCount(object.size()));
  return find_container_footer(sealing, type, name, object, known);
}

ContainerFooter find_container_footer(const Sealing* sealing, ObjectType type,
                                      const std::string& name, std::string_view object,
                                      std::uint8_t known) {
  Trailer trailer = parse_trailer(type, name, object, known);
  if (object.size() < kHeaderSize + kTrailerSize + trailer.footer_size) {
    throw_corrupt(type, name, "its footer is longer than the object");
  }
  auto footer_at = object.size() - kTrailerSize - trailer.footer_size;
  return open_footer(sealing, type, name,
                     std::string(object.substr(footer_at, trailer.footer_size)), trailer,
                     ByteCount(object.size()));
}

ContainerFooter read_container_footer(const Vault& vault, ObjectType type, const std::string& name,
                                      ByteCount object_size, std::uint8_t known) {
  auto& store = vault.store();
  auto size = object_size.value;
  auto tail_size = std::min(kTail, size);
  auto tail = store.get_range(name, ByteCount(size - tail_size), ByteCount(tail_size));
  if (!tail) throw gone(type, name);
  if (tail_size == size) return open_container(vault.sealing(), type, name, *tail, known);
  Trailer trailer = parse_trailer(type, name, *tail, known);
  std::uint64_t from_end = trailer.footer_size + kTrailerSize;
  if (from_end > size) throw_corrupt(type, name, "its footer is longer than the object");
  std::string footer;
  if (from_end <= tail->size()) {
    footer = tail->substr(tail->size() - from_end, trailer.footer_size);
  } else {
    auto read = store.get_range(name, ByteCount(size - from_end), ByteCount(trailer.footer_size));
    if (!read) throw gone(type, name);
    footer = std::move(*read);
  }
  return open_footer(vault.sealing(), type, name, std::move(footer), trailer, object_size);
}

ContainerEnds finish_container(const ObjectSeal* seal, const Salt& salt, ObjectType type,
                               const std::string& name, ByteCount at, std::string footer,
                               std::uint8_t flags) {
  if (seal != nullptr) flags |= kSealed;
  ByteCount size(at.value + footer.size() + kTrailerSize +
                 (seal != nullptr ? kSaltSize + kTagSize : 0));
  if (seal != nullptr) {
    footer.insert(0, salt.view());
    seal->seal_tail(SealedPart::footer, at, footer_aad(type, name, size, flags), footer, kSaltSize);
  }
  std::string trailer;
  append_le<std::uint32_t>(trailer, static_cast<std::uint32_t>(footer.size()));
  append_le<std::uint32_t>(trailer, crc32c(footer, crc32c(name)));
  append_le<std::uint16_t>(trailer, kFormatVersion);
  append_le<std::uint8_t>(trailer, static_cast<std::uint8_t>(type));
  append_le<std::uint8_t>(trailer, flags);
  append_le<std::uint32_t>(trailer, crc32c(trailer, crc32c(name)));
  footer += trailer;
  footer += kEndMagic;
  return {header_of(type, name, size, flags), std::move(footer)};
}

}  // namespace lifeboat::vault
