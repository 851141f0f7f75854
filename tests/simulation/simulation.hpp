#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "simulation/habits.hpp"
#include "simulation/store.hpp"

namespace lifeboat::vault::simulation {

struct Outcome {
  std::optional<std::string> violated;  // which invariant, and how
  std::string trace;                    // the last calls, of a run that failed
  std::uint64_t calls = 0;              // of the store
  std::uint64_t published = 0;          // points
  Deaths deaths{};                      // lives that ended so
  std::uint64_t failed = 0;             // runs that ended with an Error, as they may
  std::uint64_t archived = 0;           // extents that were told to be durable
  std::uint64_t deleted = 0;            // packs
  std::uint64_t pruned = 0;             // how often something of the logbook was
  std::uint64_t proofs = 0;             // that verifies kept
  std::uint64_t pinned = 0;             // points, and seen then
  std::uint64_t unpinned = 0;           // pins that pruners took for those of the dead
};

// Backups, pruners, restores and verifies of several hosts on one vault in memory: the code of
// src/vault, on a store that fails, on hosts that hang and die at any call, with clocks that are
// off. All of it follows from the seed. In the end all is quiet for some days, and one run of each
// must do without any repair.
Outcome simulate(std::uint64_t seed, Mischief mischief = Mischief::none,
                 std::size_t trace_length = 80, Focus focus = Focus::all);

}  // namespace lifeboat::vault::simulation
