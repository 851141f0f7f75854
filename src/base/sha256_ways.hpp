#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/checksum.hpp"

namespace lifeboat {

// The ways to the SHA-256 of many messages that this machine's processor knows, the fastest first,
// which is sha256_each().
using Sha256Way = std::vector<Digest> (*)(std::span<const std::string_view> messages);
std::vector<Sha256Way> sha256_ways();

}  // namespace lifeboat
