#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"

// Which part of a vault a sample reads. All names lie on a circle, in an order that a seed decides;
// a sample reads on from where the last one ended. So what was read longest ago comes first, and
// samples of 5% have read all after twenty of them. Pure.
namespace lifeboat::vault {

// A part of something, in millionths.
using Share = Strong<struct ShareTag, std::uint32_t>;
constexpr Share kAll{1'000'000};
// "5%", "0.25%": more than nothing, at most 100%. nullopt: it is none.
std::optional<Share> parse_share(std::string_view text);
std::string to_string(Share share);

// Where on the circle a name lies.
std::uint64_t place_of(std::uint64_t seed, std::string_view name);

// The places after `after`, up to `upto` and with it, around the circle. Both the same: all.
struct Arc {
  std::uint64_t after = 0;
  std::uint64_t upto = 0;
  bool holds(std::uint64_t place) const { return place - after - 1 <= upto - after - 1; }
  friend bool operator==(const Arc&, const Arc&) = default;
};

struct SampleUnit {
  std::string name;
  ByteCount size;
};
// The shortest arc after `after` with at least the share of the units' bytes, and with at least one
// of them. nullopt: there are no units.
std::optional<Arc> arc_of(const std::vector<SampleUnit>& units, std::uint64_t seed,
                          std::uint64_t after, Share share);
// Where the units are not known beforehand: that share of the places.
Arc arc_of(std::uint64_t after, Share share);

// Where the next sample goes on, in each kind of thing.
struct SamplePlace {
  std::uint64_t seed = 0;
  std::uint64_t packs = 0;
  std::uint64_t logbook = 0;
  std::uint64_t files = 0;  // of ClickHouse's backups
  friend bool operator==(const SamplePlace&, const SamplePlace&) = default;
};

// Samples that read on from each other.
struct SampleTurn {
  struct Run {
    Timestamp at;
    SamplePlace upto;
    friend bool operator==(const Run&, const Run&) = default;
  };
  SamplePlace from;       // where the first of them began
  std::vector<Run> runs;  // oldest first; at most kMostRuns
  friend bool operator==(const SampleTurn&, const SampleTurn&) = default;
};
constexpr std::size_t kMostRuns = 128;
// With one run more. Runs that are not needed to go round once are forgotten; of too many, two
// become one that counts as old as the older. One that did not begin where they ended is the first.
SampleTurn with_run(SampleTurn turn, const SamplePlace& from, const SampleTurn::Run& run);
// The latest run, none before `since`, from which on the runs have gone round in each kind of
// thing: so what was there all the time was read since then. nullopt: they have not.
std::optional<Timestamp> gone_round_since(const SampleTurn& turn, Timestamp since);

}  // namespace lifeboat::vault
