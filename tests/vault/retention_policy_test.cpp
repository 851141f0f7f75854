#include "vault/retention_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/random.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kDay = 24 * kHour;

PolicyPoint at(const char* time, const std::string& label = "") {
  return {time, *parse_timestamp(time), label};
}

std::set<std::string> kept(const std::vector<PolicyPoint>& points, const RetentionPolicy& policy) {
  std::set<std::string> out;
  for (const auto& one : apply_policy(points, policy)) {
    EXPECT_FALSE(one.reasons.empty());
    if (one.keep) out.insert(one.point.id);
  }
  return out;
}

// Days around the end of a year: 2026-12-28 and 2027-01-04 are Mondays.
const std::vector<PolicyPoint> kPoints = {
    at("2026-10-31 23:59:59"), at("2026-11-01 00:00:00"), at("2026-12-27 23:59:59"),
    at("2026-12-28 00:00:00"), at("2026-12-31 22:10:00"), at("2026-12-31 23:10:00"),
    at("2026-12-31 23:50:00"), at("2027-01-01 00:05:00"), at("2027-01-03 12:00:00"),
};

struct Row {
  const char* name;
  RetentionPolicy policy;
  std::set<std::string> kept;
};

TEST(RetentionPolicy, Rules) {
  const std::string newest = "2027-01-03 12:00:00";
  const std::vector<Row> rows = {
      {"last", {.last = 2, .labels = {}}, {"2027-01-01 00:05:00", newest}},
      {"hourly",
       {.hourly = 4, .labels = {}},
       {newest, "2027-01-01 00:05:00", "2026-12-31 23:50:00", "2026-12-31 22:10:00"}},
      {"daily", {.daily = 3, .labels = {}}, {newest, "2027-01-01 00:05:00", "2026-12-31 23:50:00"}},
      {"weekly, from Monday", {.weekly = 2, .labels = {}}, {newest, "2026-12-27 23:59:59"}},
      {"monthly",
       {.monthly = 4, .labels = {}},
       {newest, "2026-12-31 23:50:00", "2026-11-01 00:00:00", "2026-10-31 23:59:59"}},
      {"within, from the newest on",
       {.within = Millis(3 * kDay), .labels = {}},
       {newest, "2027-01-01 00:05:00", "2026-12-31 22:10:00", "2026-12-31 23:10:00",
        "2026-12-31 23:50:00"}},
      {"two rules", {.last = 1, .monthly = 2, .labels = {}}, {newest, "2026-12-31 23:50:00"}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(kept(kPoints, row.policy), row.kept) << row.name;
  }
}

TEST(RetentionPolicy, SaysWhy) {
  auto points = kPoints;
  points[0].label = "before the upgrade";
  auto verdicts = apply_policy(points, {.last = 1, .daily = 2, .labels = {"before the upgrade"}});
  EXPECT_EQ(verdicts.back().reasons,
            (std::vector<std::string>{"the newest", "last 1 of 1", "daily 1 of 2"}));
  EXPECT_EQ(verdicts[0].reasons, std::vector<std::string>{"its label 'before the upgrade'"});
  EXPECT_EQ(verdicts[1].reasons, std::vector<std::string>{"no rule of `retention` keeps it"});
}

TEST(RetentionPolicy, NoRuleDropsNothing) {
  EXPECT_EQ(kept(kPoints, {}).size(), kPoints.size());
  EXPECT_TRUE(apply_policy({}, {.last = 3, .labels = {}}).empty());
}

// Of any points and any policy.
struct Chance {
  explicit Chance(std::uint64_t seed) : random(seed) {}
  Random random;

  std::vector<PolicyPoint> points() {
    std::vector<PolicyPoint> out;
    const auto n = 1 + random.below(40);
    const auto reach = static_cast<std::uint64_t>(random.below(2) == 0 ? 5 * kDay : 500 * kDay);
    for (std::uint64_t i = 0; i < n; ++i) {
      const auto back = static_cast<std::int64_t>(random.below(reach));
      out.push_back({"p" + std::to_string(i), Timestamp(1'800'000'000'000 - back),
                     random.below(10) == 0 ? "pinned" : ""});
    }
    // Two at once now and then.
    if (n > 1 && random.below(3) == 0) out[0].created = out[1].created;
    return out;
  }
  unsigned number() { return static_cast<unsigned>(random.below(2) * random.below(9)); }
  RetentionPolicy policy() {
    RetentionPolicy out{number(), number(), number(), number(), number(), Millis(0), {}};
    if (random.below(3) == 0) out.within = Millis(random.below(10 * kDay));
    if (random.below(2) == 0) out.labels = {"pinned"};
    return out;
  }
};

TEST(RetentionPolicy, HoldsForAnyPointsAndRules) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chance chance(seed);
    const auto points = chance.points();
    const auto policy = chance.policy();
    const auto first = kept(points, policy);
    auto newest = std::max_element(points.begin(), points.end(), [](const auto& a, const auto& b) {
      return std::tie(a.created, a.id) < std::tie(b.created, b.id);
    });
    ASSERT_TRUE(first.contains(newest->id));

    auto shuffled = points;
    for (std::size_t i = shuffled.size(); i > 1; --i) {
      std::swap(shuffled[i - 1], shuffled[chance.random.below(i)]);
    }
    ASSERT_EQ(kept(shuffled, policy), first) << "equal in any order";

    auto rest = points;
    std::erase_if(rest, [&](const auto& point) { return !first.contains(point.id); });
    ASSERT_EQ(kept(rest, policy), first) << "what is kept, is kept again";

    if (policy.empty()) continue;  // an empty one keeps all
    auto more = policy;
    unsigned* numbers[] = {&more.last, &more.hourly, &more.daily, &more.weekly, &more.monthly};
    *numbers[chance.random.below(5)] += 1 + static_cast<unsigned>(chance.random.below(5));
    more.within += Millis(chance.random.below(3 * kDay));
    const auto second = kept(points, more);
    ASSERT_TRUE(std::includes(second.begin(), second.end(), first.begin(), first.end()))
        << "a larger number keeps no point less";
  }
}

}  // namespace
}  // namespace lifeboat::vault
