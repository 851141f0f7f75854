#include "serve/schedule.hpp"

#include <gtest/gtest.h>

namespace lifeboat::serve {
namespace {

struct Case {
  const char* name;
  std::optional<std::int64_t> newest;  // minutes before now
  std::optional<std::int64_t> failed;  // seconds before now
  std::int64_t every;                  // minutes
  std::int64_t expected;               // seconds from now
};

class Schedule : public testing::TestWithParam<Case> {};

TEST_P(Schedule, NextPoint) {
  const auto& c = GetParam();
  const Timestamp now(1'000'000'000);
  RunTimes times;
  if (c.newest) times.newest = now + (-*c.newest * 60'000);
  if (c.failed) times.failed = now + (-*c.failed * 1000);
  EXPECT_EQ(next_run_at(times, Millis(c.every * 60'000), now) - now, c.expected * 1000);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Schedule,
    testing::Values(Case{"None", {}, {}, 60, 0}, Case{"Fresh", 10, {}, 60, 3000},
                    Case{"Due", 60, {}, 60, 0}, Case{"LongOverdue", 600, {}, 60, 0},
                    Case{"FromTheFuture", -600, {}, 60, 3600}, Case{"JustFailed", {}, 0, 60, 60},
                    Case{"FailedAWhileAgo", {}, 45, 60, 15}, Case{"TryAgain", {}, 60, 60, 0},
                    Case{"OverdueAndFailed", 600, 10, 60, 50},
                    Case{"FailedThenByHand", 1, 30, 60, 3540},
                    Case{"FailedInTheFuture", {}, -600, 60, 60}),
    [](const auto& row) { return std::string(row.param.name); });

// With points oftener than the wait after a failure, a failure does not slow them down.
TEST(Schedule, ShortIntervals) {
  const Timestamp now(1'000'000'000);
  EXPECT_EQ(next_run_at({.newest = {}, .failed = now}, Millis(5000), now) - now, 5000);
}

}  // namespace
}  // namespace lifeboat::serve
