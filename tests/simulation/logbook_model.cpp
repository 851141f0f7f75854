#include "simulation/logbook_model.hpp"

#include <fmt/format.h>

#include "simulation/violation.hpp"
#include "vault/logbook_format.hpp"

namespace lifeboat::vault::simulation {
namespace {

std::string text_of(const LogName& log, const Range& range) {
  return fmt::format("[{}, {}) of {}", range.from, range.to, log.value);
}

Ranges left_in(const PrunedLogs& pruned, const LogName& log, Range range) {
  const auto* left = pruned.left_of(log);
  return left == nullptr ? Ranges{range} : intersect({range}, *left);
}

}  // namespace

void LogbookModel::written(const Vault& vault, const std::string& name, std::string_view bytes) {
  auto [it, is_new] = held_.try_emplace(name);
  if (!is_new) throw Violation{name + " was written over"};
  for (const auto& one : check_logbook_object(vault.sealing(), name, bytes).extents) {
    it->second.push_back({one.extent.log, {one.extent.base, one.extent.next}});
  }
}

// Nothing that a point needs is pruned: what makes it consistent, and of what the window's points
// name all that follows.
void LogbookModel::check_left(const LogNeeds& point) const {
  for (const auto& start : point.logs) {
    const auto until = point.in_window ? kLastPosition : start.until.value_or(start.position);
    if (until <= start.position) continue;
    const Range needed{start.position, until};
    if (left_in(left_, start.log, needed) == Ranges{needed}) continue;
    throw Violation{fmt::format("point {} needs {}{}, and that is pruned", point.id,
                                text_of(start.log, needed),
                                point.in_window ? ", as the window's points do" : "")};
  }
}

void LogbookModel::pruned(const Vault& vault, const std::string& name, const std::string& bytes,
                          const std::vector<LogNeeds>& points) {
  auto object = bytes;
  const auto payload = unseal(vault.sealing(), ObjectType::pruned, name, object).payload;
  const auto said =
      pruned_from_json(ObjectType::pruned, name, nlohmann::json::parse(payload).at("logs"));
  pruned_[name] = said;
  const auto before = left_.logs();
  left_.narrow(said);
  if (left_.logs() != before) ++narrowed_;
  for (const auto& point : points) check_left(point);
}

// What was left out once never shows again: where it lay would be a hole that nobody explains.
void LogbookModel::removes_pruned(const std::string& name) {
  pruned_.erase(name);
  PrunedLogs said;
  for (const auto& [_, one] : pruned_) said.narrow(one);
  if (said.logs() != left_.logs()) {
    throw Violation{name + " is removed, and no other object says what was pruned"};
  }
}

// All that other objects hold, of those that are locked until then.
Ranges LogbookModel::held(const LogName& log, const std::string& but, Timestamp locked) const {
  std::vector<Range> out;
  for (const auto& [name, parts] : held_) {
    if (name == but || objects_.lock_of(name) < locked) continue;
    for (const auto& one : parts) {
      if (one.log == log) out.push_back(one.range);
    }
  }
  return unite(std::move(out));
}

// What it holds and was not pruned, others hold; what a locked point needs, in locked ones.
void LogbookModel::removes(const std::string& name, const std::vector<LogNeeds>& points) {
  const auto object = held_.find(name);
  if (object == held_.end()) return;
  for (const auto& part : object->second) {
    const auto needed = left_in(left_, part.log, part.range);
    if (!subtract(needed, held(part.log, name, Timestamp(0))).empty()) {
      throw Violation{fmt::format("{} is deleted, and no other object has {}", name,
                                  text_of(part.log, part.range))};
    }
    for (const auto& point : points) {
      if (point.locked == Timestamp(0)) continue;
      for (const auto& start : point.logs) {
        if (start.log != part.log || !start.until) continue;
        const auto both = intersect({part.range}, {{start.position, *start.until}});
        if (subtract(both, held(part.log, name, point.locked)).empty()) continue;
        throw Violation{
            fmt::format("{} is deleted, and nobody who is locked as long as point {} has {}", name,
                        point.id, text_of(part.log, part.range))};
      }
    }
  }
  held_.erase(object);
}

bool LogbookModel::has_all_from(const PrunedLogs& left, const std::vector<LogStart>& logs) {
  return std::ranges::all_of(logs, [&](const auto& start) {
    const Range all{start.position, kLastPosition};
    return left_in(left, start.log, all) == Ranges{all};
  });
}

void LogbookModel::check(const LogNeeds& point) const {
  check_left(point);
  for (const auto& start : point.logs) {
    if (!start.until || *start.until <= start.position) continue;
    const Range needed{start.position, *start.until};
    if (subtract({needed}, held(start.log, "", point.locked)).empty()) continue;
    throw Violation{
        fmt::format("point {} was published, and no object that is there and locked as long has {}",
                    point.id, text_of(start.log, needed))};
  }
}

}  // namespace lifeboat::vault::simulation
