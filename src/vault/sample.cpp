#include "vault/sample.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"

namespace lifeboat::vault {

std::optional<Share> parse_share(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  double percent = 0;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, percent, std::chars_format::fixed);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(percent > 0 && percent <= 100)) {
    return std::nullopt;
  }
  return Share(std::max(1u, static_cast<std::uint32_t>(percent * 10'000)));
}

std::string to_string(Share share) {
  return fmt::format("{:g}%", share.value / 10'000.0);
}

std::uint64_t place_of(std::uint64_t seed, std::string_view name) {
  std::string bytes;
  append_le<std::uint64_t>(bytes, seed);
  bytes += name;
  std::uint64_t place = 0;
  std::memcpy(&place, sha256(bytes).bytes.data(), sizeof place);
  return place;
}

std::optional<Arc> arc_of(const std::vector<SampleUnit>& units, std::uint64_t seed,
                          std::uint64_t after, Share share) {
  if (units.empty()) return std::nullopt;
  struct Placed {
    std::uint64_t distance;
    std::uint64_t size;
  };
  std::vector<Placed> placed;
  double total = 0;
  for (const auto& unit : units) {
    placed.push_back({place_of(seed, unit.name) - after - 1, unit.size.value});
    total += static_cast<double>(unit.size.value);
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.distance < b.distance; });
  const double wanted = total * share.value / kAll.value;
  double got = 0;
  for (const auto& one : placed) {
    got += static_cast<double>(one.size);
    if (got >= wanted) return Arc{after, after + one.distance + 1};
  }
  return Arc{after, after};
}

Arc arc_of(std::uint64_t after, Share share) {
  if (share >= kAll) return {after, after};
  const double places = 18446744073709551616.0 * share.value / kAll.value;
  return {after, after + static_cast<std::uint64_t>(places)};
}

}  // namespace lifeboat::vault
