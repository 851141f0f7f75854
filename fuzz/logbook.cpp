#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "fuzz/targets.hpp"
#include "vault/logbook_format.hpp"

namespace lifeboat::fuzz {
namespace {

const std::string kName = "logbook/20261122T170506123Z-00000000/00000000000000000000";

void put(std::string& bytes, std::size_t at, std::uint32_t value) {
  std::memcpy(&bytes[at], &value, sizeof value);
}

// Mutations would end at a checksum: header, footer and trailer get those that fit.
std::string with_checksums(std::string_view bytes) {
  std::string fixed(bytes);
  if (fixed.size() < vault::kHeaderSize + vault::kTrailerSize) return fixed;
  const auto name = crc32c(kName);
  put(fixed, vault::kHeaderSize - 4, crc32c(std::string_view(fixed).substr(0, 20), name));
  const auto trailer = fixed.size() - vault::kTrailerSize;
  const auto size = load_le<std::uint32_t>(&fixed[trailer]);
  if (size <= trailer) {
    put(fixed, trailer + 4, crc32c(std::string_view(fixed).substr(trailer - size, size), name));
  }
  put(fixed, trailer + 12, crc32c(std::string_view(fixed).substr(trailer, 12), name));
  return fixed;
}

}  // namespace

void logbook(std::string_view bytes) {
  const auto object = with_checksums(bytes);
  vault::open_logbook_object(nullptr, kName, object);
  const auto footer = vault::check_logbook_object(nullptr, kName, object);
  for (const auto& extent : footer.extents) {
    const auto stored =
        std::string_view(object).substr(static_cast<std::size_t>(extent.offset.value),
                                        static_cast<std::size_t>(extent.stored.value));
    vault::open_extent(nullptr, kName, footer.salt, extent, std::string(stored));
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(logbook)
