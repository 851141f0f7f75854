#include "vault/retention_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <tuple>

namespace lifeboat::vault {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;

std::chrono::sys_time<Millis> utc(Timestamp t) {
  return std::chrono::sys_time<Millis>(Millis(t.value));
}

std::int64_t hour_of(Timestamp t) {
  return floor<hours>(utc(t)).time_since_epoch().count();
}
std::int64_t day_of(Timestamp t) {
  return floor<days>(utc(t)).time_since_epoch().count();
}
// 1970-01-01 was a Thursday.
std::int64_t week_of(Timestamp t) {
  const auto since_monday = floor<days>(utc(t)).time_since_epoch() + days(3);
  return floor<std::chrono::duration<std::int64_t, std::ratio<604800>>>(since_monday).count();
}
std::int64_t month_of(Timestamp t) {
  const std::chrono::year_month_day date(floor<days>(utc(t)));
  return static_cast<int>(date.year()) * 12 + static_cast<int>(static_cast<unsigned>(date.month()));
}

// The newest of each of the `wanted` newest periods.
void keep_by_period(std::vector<PointVerdict>& points, unsigned wanted, const char* name,
                    const std::function<std::int64_t(Timestamp)>& period) {
  unsigned kept = 0;
  std::optional<std::int64_t> before;
  for (auto it = points.rbegin(); it != points.rend() && kept < wanted; ++it) {
    const auto now = period(it->point.created);
    if (before == now) continue;
    before = now;
    it->reasons.push_back(fmt::format("{} {} of {}", name, ++kept, wanted));
  }
}

// The newest one that is as old as the window.
void keep_beginning_of_window(std::vector<PointVerdict>& points, Millis window) {
  if (window.count() == 0) return;
  const auto newest = points.back().point.created;
  for (auto it = points.rbegin(); it != points.rend(); ++it) {
    if (newest - it->point.created < window.count()) continue;
    it->begins_window = true;
    it->reasons.push_back("the logbook's window begins with it");
    return;
  }
}

}  // namespace

std::vector<PointVerdict> apply_policy(std::vector<PolicyPoint> points,
                                       const RetentionPolicy& policy) {
  std::sort(points.begin(), points.end(), [](const PolicyPoint& a, const PolicyPoint& b) {
    return std::tie(a.created, a.id) < std::tie(b.created, b.id);
  });
  std::vector<PointVerdict> out;
  for (auto& point : points) out.push_back({std::move(point), false, {}, false});
  if (out.empty()) return out;
  const auto newest = out.back().point.created;
  out.back().reasons.push_back("the newest");
  for (std::size_t i = 0; i < std::min<std::size_t>(policy.last, out.size()); ++i) {
    out[out.size() - 1 - i].reasons.push_back(fmt::format("last {} of {}", i + 1, policy.last));
  }
  keep_by_period(out, policy.hourly, "hourly", hour_of);
  keep_by_period(out, policy.daily, "daily", day_of);
  keep_by_period(out, policy.weekly, "weekly", week_of);
  keep_by_period(out, policy.monthly, "monthly", month_of);
  keep_beginning_of_window(out, policy.logbook);
  for (auto& one : out) {
    if (policy.within.count() > 0 && newest - one.point.created <= policy.within.count()) {
      one.reasons.push_back("within the time that all are kept");
    }
    if (std::count(policy.labels.begin(), policy.labels.end(), one.point.label) > 0) {
      one.reasons.push_back("its label '" + one.point.label + "'");
    }
    one.keep = !one.reasons.empty() || policy.empty();
    if (!one.keep) one.reasons.push_back("no rule of `retention` keeps it");
    if (one.reasons.empty()) one.reasons.push_back("there is no rule");
  }
  return out;
}

}  // namespace lifeboat::vault
