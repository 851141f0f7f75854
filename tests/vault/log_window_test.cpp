// What of the logbook is needed, as a table.
#include "vault/log_window.hpp"

#include <gtest/gtest.h>

#include <map>

namespace lifeboat::vault {
namespace {

const std::string kWal = "postgres/1/00000001";
const std::string kTopic = "kafka/c/t/events/0";

LogStart start(const std::string& log, std::int64_t position,
               std::optional<std::int64_t> until = {}) {
  LogStart out{{log}, Position(position), {}};
  if (until) out.until = Position(*until);
  return out;
}

PointLogs point(const std::string& id, bool kept, bool in_window, std::vector<LogStart> starts) {
  return {id, kept, in_window, std::move(starts), {}};
}

KnownLog known(const std::string& log, std::int64_t first, std::int64_t next) {
  return {{log}, Position(first), Position(next)};
}

Ranges ranges(std::vector<std::pair<std::int64_t, std::int64_t>> islands, std::int64_t from) {
  Ranges out;
  for (const auto& [a, b] : islands) out.push_back({Position(a), Position(b)});
  out.push_back({Position(from), kLastPosition});
  return out;
}

std::map<std::string, Ranges> left(const std::vector<PointLogs>& points,
                                   const std::vector<KnownLog>& logs) {
  std::map<std::string, Ranges> out;
  for (const auto& one : apply_window(points, logs)) {
    EXPECT_FALSE(one.why.empty());
    out[one.log.value] = one.kept;
  }
  return out;
}
using Left = std::map<std::string, Ranges>;

TEST(LogWindow, BeginsWhereItsLowestPointDoes) {
  const std::vector<PointLogs> points = {point("a", true, true, {start(kWal, 100, 120)}),
                                         point("b", true, true, {start(kWal, 90, 200)})};
  EXPECT_EQ(left(points, {known(kWal, 0, 500)}), (Left{{kWal, ranges({}, 90)}}));
  EXPECT_EQ(left(points, {known(kWal, 90, 500)}), Left());
}

TEST(LogWindow, OlderPointsKeepWhatMakesThemConsistent) {
  const std::vector<PointLogs> points = {
      point("dropped", false, false, {start(kWal, 10, 20)}),
      point("monthly", true, false, {start(kWal, 50, 60), start(kTopic, 5)}),
      point("touches", true, false, {start(kWal, 60, 65)}),
      point("first", true, true, {start(kWal, 100, 120), start(kTopic, 70)}),
      point("last", true, true, {start(kWal, 400, 420), start(kTopic, 80)})};
  EXPECT_EQ(left(points, {known(kWal, 0, 500), known(kTopic, 0, 90)}),
            (Left{{kWal, ranges({{50, 65}}, 100)}, {kTopic, ranges({}, 70)}}));
}

TEST(LogWindow, TheLastPositionStays) {
  const std::vector<PointLogs> points = {point("a", true, true, {start(kTopic, 900)})};
  EXPECT_EQ(left(points, {known(kTopic, 0, 900)}), (Left{{kTopic, ranges({}, 899)}}));
  EXPECT_EQ(left(points, {known(kTopic, 0, 500)}), (Left{{kTopic, ranges({}, 499)}}));
}

TEST(LogWindow, WhatNoPointKnowsStays) {
  const std::vector<PointLogs> points = {point("a", true, true, {start(kTopic, 10)})};
  EXPECT_EQ(left(points, {known("kafka/c/new/new/0", 0, 50), known("postgres/9/00000001", 0, 9),
                          known("kafka-groups/c", 0, 9)}),
            Left());
}

TEST(LogWindow, WhatOnlyOlderPointsKnowGoes) {
  const std::string gone = "kafka/c/gone/gone/0";
  const std::vector<PointLogs> points = {
      point("old", false, false, {start(gone, 7), start(kTopic, 3)}),
      point("first", true, true, {start(kTopic, 10)})};
  EXPECT_EQ(left(points, {known(gone, 0, 50), known(kTopic, 0, 20)}),
            (Left{{gone, ranges({}, 50)}, {kTopic, ranges({}, 10)}}));
}

TEST(LogWindow, WhatWasMadeWithinTheWindowStays) {
  const std::string fresh = "kafka/c/fresh/fresh/0";
  std::vector<PointLogs> points = {
      point("first", true, true, {start(kTopic, 0)}),
      point("second", true, true, {start(kTopic, 0), start(fresh, 7)})};
  EXPECT_EQ(left(points, {known(fresh, 0, 50)}), Left());
  points[1].kept = false;
  EXPECT_EQ(left(points, {known(fresh, 0, 50)}), Left());
}

TEST(LogWindow, SilenceKeepsAllOfItsKind) {
  std::vector<PointLogs> points = {
      point("first", true, true, {start(kTopic, 10), start(kWal, 10, 11)}),
      point("second", true, true, {start(kWal, 20, 21)})};
  points[1].silent = {"kafka"};
  EXPECT_EQ(left(points, {known(kTopic, 0, 50), known(kWal, 0, 50)}),
            (Left{{kWal, ranges({}, 10)}}));
  points[1].kept = false;
  EXPECT_EQ(left(points, {known(kTopic, 0, 50)}), (Left{{kTopic, ranges({}, 10)}}));
}

// A store that is not looked after any more, or not yet.
TEST(LogWindow, AWindowThatDoesNotSpeakOfAKindKeepsIt) {
  const std::vector<PointLogs> points = {point("old", true, false, {start(kTopic, 10)}),
                                         point("first", true, true, {start(kWal, 10, 11)})};
  EXPECT_EQ(left(points, {known(kTopic, 0, 50)}), Left());
}

TEST(LogWindow, AnotherTimelineOrClusterTakesOver) {
  const std::string second = "postgres/1/00000002";
  const std::vector<PointLogs> points = {point("old", false, false, {start(kWal, 10, 11)}),
                                         point("first", true, true, {start(second, 60, 70)})};
  EXPECT_EQ(left(points,
                 {known(kWal, 0, 50), known(second, 50, 90), known("postgres/1/00000003", 80, 85)}),
            (Left{{kWal, ranges({}, 50)}, {second, ranges({}, 60)}}));
}

TEST(LogWindow, BranchesOfALogThatWasCutBack) {
  const std::string branch = kTopic + "/epoch-7", older = kTopic + "/epoch-3";
  std::vector<PointLogs> points = {point("first", true, true, {start(kTopic, 950)})};
  const std::vector<KnownLog> logs = {known(kTopic, 0, 1000), known(older, 800, 900),
                                      known(branch, 900, 3000)};
  EXPECT_EQ(left(points, logs),
            (Left{{kTopic, ranges({}, 950)}, {older, ranges({}, 900)}, {branch, ranges({}, 950)}}));
  points[0].starts[0].position = Position(2000);
  EXPECT_EQ(
      left(points, logs),
      (Left{{kTopic, ranges({}, 1000)}, {older, ranges({}, 900)}, {branch, ranges({}, 2000)}}));
}

TEST(Ranges, AreSets) {
  const Ranges a =
      unite({{Position(5), Position(9)}, {Position(0), Position(3)}, {Position(3), Position(4)}});
  EXPECT_EQ(a, (Ranges{{Position(0), Position(4)}, {Position(5), Position(9)}}));
  const Ranges b = {{Position(2), Position(6)}, {Position(8), kLastPosition}};
  EXPECT_EQ(
      intersect(a, b),
      (Ranges{{Position(2), Position(4)}, {Position(5), Position(6)}, {Position(8), Position(9)}}));
  EXPECT_EQ(subtract(a, b), (Ranges{{Position(0), Position(2)}, {Position(6), Position(8)}}));
  EXPECT_TRUE(meets(a, {Position(3), Position(5)}));
  EXPECT_FALSE(meets(a, {Position(4), Position(5)}));
  EXPECT_FALSE(meets(a, {Position(9), Position(20)}));
}

}  // namespace
}  // namespace lifeboat::vault
