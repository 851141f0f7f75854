#include "vault/prune_points.hpp"

#include <algorithm>
#include <tuple>

namespace lifeboat::vault {

std::vector<PointVerdict> judge_points(const AllPoints& all, const RetentionPolicy& policy,
                                       const std::set<std::string>& given_up,
                                       const std::set<std::string>& going) {
  std::vector<PolicyPoint> points;
  std::vector<PointVerdict> gone;
  for (const auto& one : all.points) {
    if (!one.point) continue;
    PolicyPoint point{one.id, one.point->created, one.point->label};
    if (given_up.contains(one.id)) {
      gone.push_back({std::move(point), false, {"you said so"}, false});
    } else if (going.contains(point_name(one.id))) {
      gone.push_back({std::move(point), false, {"another prune drops it"}, false});
    } else {
      points.push_back(std::move(point));
    }
  }
  auto verdicts = apply_policy(std::move(points), policy);
  verdicts.insert(verdicts.end(), gone.begin(), gone.end());
  std::sort(verdicts.begin(), verdicts.end(), [](const auto& a, const auto& b) {
    return std::tie(a.point.created, a.point.id) < std::tie(b.point.created, b.point.id);
  });
  return verdicts;
}

std::optional<WindowBeginning> beginning_of(const std::vector<PointVerdict>& verdicts) {
  const auto it = std::ranges::find_if(verdicts, &PointVerdict::begins_window);
  if (it == verdicts.end()) return std::nullopt;
  return WindowBeginning{it->point.created, it->point.id};
}

std::set<std::string> names_of_dropped(const AllPoints& all,
                                       const std::vector<PointVerdict>& verdicts,
                                       const std::set<std::string>& given_up,
                                       const OtherWords& others) {
  std::set<std::string> out;
  for (const auto& one : verdicts) {
    if (!one.keep) out.insert(point_name(one.point.id));
  }
  for (const auto& one : all.points) {
    if (!one.point && given_up.contains(one.id)) out.insert(point_name(one.id));
  }
  for (const auto& name : others.points) out.erase(name);
  return out;
}

void settle_points(PruneWord& word, const AllPoints& all, const std::vector<PointVerdict>& verdicts,
                   const std::set<std::string>& dropped,
                   const std::function<std::set<std::string>(const ListedPoint&)>& outside) {
  if (word.window != beginning_of(verdicts)) {
    word.points.clear();
    word.logs = PrunedLogs();
  }
  std::erase_if(word.points, [&](const auto& name) { return !dropped.contains(name); });
  const std::set<std::string> go(word.points.begin(), word.points.end());
  for (const auto& one : all.points) {
    if (go.contains(point_name(one.id))) continue;
    for (const auto& stays : outside(one)) std::erase(word.outside, stays);
  }
}

}  // namespace lifeboat::vault
