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
  // Of 2^64 places, rounded up: twenty samples of 5% go round.
  constexpr std::uint64_t kMillionths = kAll.value;
  constexpr auto kPart = UINT64_MAX / kMillionths, kRest = UINT64_MAX % kMillionths + 1;
  return {after,
          after + share.value * kPart + (share.value * kRest + kMillionths - 1) / kMillionths};
}

namespace {

// How many places of the circle runs have read in one kind of thing, from the newest back.
class Way {
 public:
  explicit Way(std::uint64_t SamplePlace::* kind) : kind_(kind) {}
  void add(const SamplePlace& after, const SamplePlace& upto) {
    const auto places = upto.*kind_ - after.*kind_;
    round_ = round_ || places == 0 || sum_ + places < sum_;
    sum_ += places;
  }
  bool round() const { return round_; }

 private:
  std::uint64_t SamplePlace::* kind_;
  std::uint64_t sum_ = 0;
  bool round_ = false;
};

// The last run from which on they have gone round.
std::optional<std::size_t> round_from(const SampleTurn& turn) {
  Way ways[] = {Way(&SamplePlace::packs), Way(&SamplePlace::logbook), Way(&SamplePlace::files)};
  for (auto i = turn.runs.size(); i-- > 0;) {
    const auto& after = i == 0 ? turn.from : turn.runs[i - 1].upto;
    for (auto& way : ways) way.add(after, turn.runs[i].upto);
    if (std::all_of(std::begin(ways), std::end(ways), [](const auto& w) { return w.round(); })) {
      return i;
    }
  }
  return std::nullopt;
}

void join_pairs(std::vector<SampleTurn::Run>& runs) {
  std::vector<SampleTurn::Run> out;
  for (std::size_t i = 0; i < runs.size(); i += 2) {
    out.push_back({runs[i].at, runs[std::min(i + 1, runs.size() - 1)].upto});
  }
  runs = std::move(out);
}

}  // namespace

SampleTurn with_run(SampleTurn turn, const SamplePlace& from, const SampleTurn::Run& run) {
  if (turn.runs.empty() || turn.runs.back().upto != from) turn = {from, {}};
  turn.runs.push_back(run);
  if (const auto first = round_from(turn); first && *first > 0) {
    const auto end = turn.runs.begin() + static_cast<std::ptrdiff_t>(*first);
    turn.from = (end - 1)->upto;
    turn.runs.erase(turn.runs.begin(), end);
  }
  if (turn.runs.size() > kMostRuns) join_pairs(turn.runs);
  return turn;
}

std::optional<Timestamp> gone_round_since(const SampleTurn& turn, Timestamp since) {
  const auto first = round_from(turn);
  if (!first || turn.runs[*first].at < since) return std::nullopt;
  return turn.runs[*first].at;
}

}  // namespace lifeboat::vault
