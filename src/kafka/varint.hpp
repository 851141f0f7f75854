#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lifeboat::kafka {

// The zigzag varint of the record format: 7 bits a byte, the lowest first, at most 10 bytes. Takes
// it off the front; nullopt when it does not end.
inline std::optional<std::int64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
  }
  return std::nullopt;
}

inline void append_varint(std::string& out, std::int64_t value) {
  auto rest = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  for (; rest > 0x7f; rest >>= 7) out.push_back(static_cast<char>((rest & 0x7f) | 0x80));
  out.push_back(static_cast<char>(rest));
}

}  // namespace lifeboat::kafka
