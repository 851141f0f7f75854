#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lifeboat {

// The ways to a CRC-32C that this machine's processor knows, the fastest first, which is crc32c().
using Crc32cWay = std::uint32_t (*)(std::string_view bytes, std::uint32_t crc);
std::vector<Crc32cWay> crc32c_ways();

}  // namespace lifeboat
