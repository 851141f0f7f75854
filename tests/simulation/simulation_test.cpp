// Backups, pruners, restores and verifies on a bad store, on hosts that hang and die, by thousands
// of seeds. simulation.hpp says how.
//   LIFEBOAT_SIMULATION_SEEDS=100000   so many of them
//   LIFEBOAT_SEED=17                   this one alone, with more of what went before
#include "simulation/simulation.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <iostream>
#include <numeric>

namespace lifeboat::vault::simulation {
namespace {

constexpr std::uint64_t kSeeds = 10'000;

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::stoull(text);
}

struct Sums {
  std::uint64_t calls = 0, published = 0, archived = 0, failed = 0, deleted = 0, pruned = 0,
                proofs = 0, pinned = 0, unpinned = 0;
  Deaths deaths{};
  std::uint64_t deaths_at(store::Op op) const { return deaths[static_cast<std::size_t>(op)]; }
  std::uint64_t killed() const { return std::accumulate(deaths.begin(), deaths.end(), 0ul); }
  void add(const Outcome& one) {
    calls += one.calls;
    published += one.published;
    archived += one.archived;
    for (std::size_t i = 0; i < deaths.size(); ++i) deaths[i] += one.deaths[i];
    failed += one.failed;
    deleted += one.deleted;
    pruned += one.pruned;
    proofs += one.proofs;
    pinned += one.pinned;
    unpinned += one.unpinned;
  }
};

// What the code logs of faults is of no use here, and much.
struct Simulation : ::testing::Test {
  spdlog::level::level_enum before = spdlog::get_level();
  Simulation() { spdlog::set_level(spdlog::level::off); }
  ~Simulation() override { spdlog::set_level(before); }
};

Sums run_seeds(std::uint64_t seeds, Focus focus) {
  Sums sums;
  auto from = std::uint64_t{1}, to = seeds;
  std::size_t trace_length = 80;
  if (auto seed = number_from("LIFEBOAT_SEED")) {
    from = to = *seed;
    trace_length = 2000;
  }
  for (std::uint64_t seed = from; seed <= to; ++seed) {
    auto outcome = simulate(seed, Mischief::none, trace_length, focus);
    sums.add(outcome);
    if (!outcome.violated) continue;
    ADD_FAILURE() << "seed " << seed << ": " << *outcome.violated << "\nthe last calls:\n"
                  << outcome.trace << "repeat: LIFEBOAT_SEED=" << seed
                  << " build/bin/test_simulation --gtest_filter="
                  << ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()
                  << "." << ::testing::UnitTest::GetInstance()->current_test_info()->name();
    break;
  }
  std::cout << seeds << " seeds: " << sums.calls << " calls, " << sums.published << " points, "
            << sums.archived << " extents, " << sums.pruned << " prunings of the logbook, "
            << sums.proofs << " proofs, " << sums.pinned << " points pinned, " << sums.unpinned
            << " pins revoked, " << sums.deleted << " packs deleted, " << sums.killed()
            << " lives cut short, " << sums.failed << " runs failed\n";
  return sums;
}

TEST_F(Simulation, NothingThatAPointNeedsIsLost) {
  const auto seeds = number_from("LIFEBOAT_SIMULATION_SEEDS").value_or(kSeeds);
  const auto sums = run_seeds(seeds, Focus::all);
  if (HasFailure() || number_from("LIFEBOAT_SEED")) return;
  // It is not true for want of anything that happens.
  EXPECT_GT(sums.published, 4 * seeds);
  EXPECT_GT(sums.deleted, 4 * seeds);
  EXPECT_GT(sums.archived, seeds);
  EXPECT_GT(sums.pruned, seeds / 20);
  EXPECT_GT(sums.proofs, seeds / 2);
  EXPECT_GT(sums.pinned, seeds / 2);
  EXPECT_GT(sums.unpinned, seeds / 20);
  EXPECT_GT(sums.killed(), seeds);
  using enum store::Op;
  for (const auto op : {get, get_range, put_if_absent, put_if_unchanged, list, remove}) {
    EXPECT_GT(sums.deaths_at(op), seeds / 100) << to_string(op);
  }
}

TEST_F(Simulation, SeveralPrunersKeepTheWindow) {
  const auto seeds = number_from("LIFEBOAT_SIMULATION_SEEDS").value_or(kSeeds) / 10;
  const auto sums = run_seeds(seeds, Focus::window);
  if (HasFailure() || number_from("LIFEBOAT_SEED")) return;
  EXPECT_GT(sums.pruned, seeds / 2);
}

TEST_F(Simulation, ASeedRepeats) {
  for (std::uint64_t seed : {3, 14, 159}) {
    auto one = simulate(seed), again = simulate(seed);
    EXPECT_EQ(one.calls, again.calls);
    EXPECT_EQ(one.published, again.published);
    EXPECT_EQ(one.deleted, again.deleted);
  }
}

// What it would find if it were so.
struct SimulationFinds : Simulation, ::testing::WithParamInterface<Mischief> {};
TEST_P(SimulationFinds, It) {
  const bool of_window =
      GetParam() == Mischief::hides_others_words || GetParam() == Mischief::names_pruned_logs;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    auto outcome = simulate(seed, GetParam(), 80, of_window ? Focus::window : Focus::all);
    if (!outcome.violated) continue;
    std::cout << "seed " << seed << ": " << *outcome.violated << "\n";
    return;
  }
  FAIL() << "not found by " << kSeeds << " seeds";
}
INSTANTIATE_TEST_SUITE_P(
    All, SimulationFinds,
    ::testing::Values(Mischief::swaps_blindly, Mischief::overwrites, Mischief::loses_writes,
                      Mischief::reads_stale, Mischief::hides_fresh, Mischief::lists_incompletely,
                      Mischief::hides_words, Mischief::hides_others_words,
                      Mischief::forgets_open_points, Mischief::opens_late, Mischief::removes_early,
                      Mischief::hides_signs, Mischief::names_pruned_logs,
                      Mischief::forgets_pruned_logs, Mischief::replaces_unread,
                      Mischief::publishes_unlocked, Mischief::loses_locks, Mischief::ignores_locks,
                      Mischief::ignores_pins, Mischief::looks_at_pins_first,
                      Mischief::forgets_old_pins, Mischief::pins_late, Mischief::goes_on_unseen),
    [](const auto& one) { return std::string(to_string(one.param)); });

}  // namespace
}  // namespace lifeboat::vault::simulation
