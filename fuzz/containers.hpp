#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "vault/container.hpp"

namespace lifeboat::fuzz {

// Mutations would end at a checksum: header, footer and trailer get those that fit.
inline std::string container_with_checksums(const std::string& name, std::string_view bytes) {
  std::string fixed(bytes);
  if (fixed.size() < vault::kHeaderSize + vault::kTrailerSize) return fixed;
  auto put = [&](std::size_t at, std::uint32_t value) {
    std::memcpy(&fixed[at], &value, sizeof value);
  };
  auto crc = [&](std::size_t from, std::size_t size) {
    return crc32c(std::string_view(fixed).substr(from, size), crc32c(name));
  };
  put(vault::kHeaderSize - 4, crc(0, 20));
  const auto trailer = fixed.size() - vault::kTrailerSize;
  const auto size = load_le<std::uint32_t>(&fixed[trailer]);
  if (size <= trailer) put(trailer + 4, crc(trailer - size, size));
  put(trailer + 12, crc(trailer, 12));
  return fixed;
}

// The same for an object that is framed whole.
inline std::string frame_with_checksums(const std::string& name, std::string_view bytes) {
  std::string fixed(bytes);
  if (fixed.size() < vault::kHeaderSize + vault::kChecksumSize) return fixed;
  const auto header = crc32c(bytes.substr(0, vault::kHeaderSize - 4), crc32c(name));
  std::memcpy(&fixed[vault::kHeaderSize - 4], &header, sizeof header);
  const auto end = fixed.size() - vault::kChecksumSize;
  const auto payload = crc32c(bytes.substr(vault::kHeaderSize, end - vault::kHeaderSize), header);
  std::memcpy(&fixed[end], &payload, sizeof payload);
  return fixed;
}

}  // namespace lifeboat::fuzz
