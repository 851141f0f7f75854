#include "postgres/timeline_plan.hpp"

#include <gtest/gtest.h>

#include <map>

namespace lifeboat::postgres {
namespace {

constexpr ByteCount kSegment(16 << 20);
constexpr TimelineId t1(1), t2(2), t3(3);

Lsn lsn(const char* text) {
  return parse_lsn(text).value();
}

// Timeline 1 was left at 0/3800000, timeline 2 at 0/5800000, the server is on 3.
const std::vector<TimelineSwitch> kAncestors = {{t1, lsn("0/3800000")}, {t2, lsn("0/5800000")}};

TEST(TimelinePlan, WhereToStart) {
  struct Row {
    const char* what;
    std::map<TimelineId, Lsn> held;
    const char* slot;
    WalPosition start;
  };
  const Row rows[] = {
      {"nothing held: the slot's segment", {}, "0/6123456", {t3, lsn("0/6000000")}},
      {"nothing held, the slot is on timeline 2", {}, "0/4123456", {t2, lsn("0/4000000")}},
      {"nothing held, the slot is on timeline 1", {}, "0/1000028", {t1, lsn("0/1000000")}},
      {"the slot exactly at a switch", {}, "0/3800000", {t2, lsn("0/3000000")}},
      {"the server's timeline is held",
       {{t3, lsn("0/6ABCDEF")}},
       "0/6000000",
       {t3, lsn("0/6ABCDEF")}},
      {"held wins over the slot", {{t3, lsn("0/6000001")}}, "0/9000000", {t3, lsn("0/6000001")}},
      {"an old timeline, not to its end",
       {{t1, lsn("0/2123456")}},
       "0/6000000",
       {t1, lsn("0/2123456")}},
      {"an old timeline, exactly to its end",
       {{t1, lsn("0/3800000")}},
       "0/6000000",
       {t2, lsn("0/3000000")}},
      {"more of an old timeline than the server took over",
       {{t1, lsn("0/9000000")}},
       "0/6000000",
       {t2, lsn("0/3000000")}},
      {"the parent, to its end",
       {{t1, lsn("0/3800000")}, {t2, lsn("0/5800000")}},
       "0/6000000",
       {t3, lsn("0/5000000")}},
      {"the newest one that is held decides",
       {{t1, lsn("0/3000000")}, {t2, lsn("0/4000001")}},
       "0/6000000",
       {t2, lsn("0/4000001")}},
  };
  for (const auto& row : rows) {
    const auto held = [&](TimelineId timeline) -> std::optional<Lsn> {
      const auto found = row.held.find(timeline);
      if (found == row.held.end()) return std::nullopt;
      return found->second;
    };
    EXPECT_EQ(plan_start(kAncestors, t3, held, lsn(row.slot), kSegment), row.start) << row.what;
  }
}

TEST(TimelinePlan, NextTimelineBeginsWithTheSharedSegment) {
  EXPECT_EQ(next_timeline(kAncestors, t3, t1, kSegment), (WalPosition{t2, lsn("0/3000000")}));
  EXPECT_EQ(next_timeline(kAncestors, t3, t2, kSegment), (WalPosition{t3, lsn("0/5000000")}));
  EXPECT_FALSE(next_timeline(kAncestors, t3, t3, kSegment));
}

TEST(TimelinePlan, OldestAvailable) {
  const std::vector<std::string> names = {"000000010000000000000002",
                                          "000000010000000000000002.partial",
                                          "000000020000000000000003",
                                          "000000020000000000000004",
                                          "000000030000000000000005",
                                          "000000030000000000000006",
                                          "000000030000000000000009",
                                          "00000003.history",
                                          "archive_status"};
  struct Row {
    const char* what;
    WalPosition from;
    const char* limit;
    std::optional<TimelineId> child;
    std::optional<Lsn> oldest;
  };
  const Row rows[] = {
      {"of the timeline itself", {t1, lsn("0/1000028")}, "0/3800000", t2, lsn("0/2000000")},
      {"the last segment, under the child's name",
       {t1, lsn("0/2000028")},
       "0/3800000",
       t2,
       lsn("0/3000000")},
      {"nothing below the end", {t1, lsn("0/3000028")}, "0/3800000", t2, std::nullopt},
      {"a segment made in advance does not count",
       {t3, lsn("0/6000028")},
       "0/7800000",
       std::nullopt,
       std::nullopt},
      {"the current one", {t3, lsn("0/4000028")}, "0/6800000", std::nullopt, lsn("0/5000000")},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(oldest_available(names, row.from, lsn(row.limit), row.child, kSegment), row.oldest)
        << row.what;
  }
}

}  // namespace
}  // namespace lifeboat::postgres
