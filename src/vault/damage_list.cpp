#include "vault/damage_list.hpp"

#include <algorithm>

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMaxHits = 100;  // of one damage

std::string next_for_pack(const Damage& damage) {
  if (damage.points.empty()) {
    return "nothing is lost: no point needs what is damaged, or another pack has it whole. "
           "Backups do not rely on this one; prune removes it when nothing else of it is needed";
  }
  return "run `lifeboat backup`: what its source still has, unchanged, is stored anew, and heals "
         "these points too; or put the object back from a replica of the vault; then `lifeboat "
         "verify --data`. To give a point up: `lifeboat prune --drop " +
         *damage.points.begin() + "`";
}

// What a damaged object held at a log's end is missed by nobody.
std::string next_for_lost_logbook() {
  return "what it held is not known; no point lacks a range that others follow, but the end of a "
         "log may be lost with it. Put the object back from a replica of the vault; without one "
         "take a new point now (`lifeboat backup`): it needs nothing of it";
}

std::string next_for_logbook(const Damage& damage, DamageList::Content content) {
  if (damage.points.empty() && content == DamageList::Content::unknown) {
    return next_for_lost_logbook();
  }
  if (damage.points.empty()) {
    return "nothing is lost: no point needs the range, or another object holds it whole";
  }
  return "take a new point now (`lifeboat backup`): it needs nothing of this range. With the "
         "points that do, recover to before it, or while the source still has it; or put the "
         "object back from a replica of the vault";
}

// What is not known is no reason for calm.
std::string next_for_unknown(const std::set<std::string>& points) {
  std::string more;
  if (points.size() > 1) more = " and " + std::to_string(points.size() - 1) + " more";
  return "it is not known whether point " + *points.begin() + more +
         " needs this: what the point lists cannot be read. Heal that first, as its own damage "
         "says, or give the point up (`lifeboat prune --drop " +
         *points.begin() + "`); then run `lifeboat verify --data` again, which will know";
}

std::string next_step(const Damage& damage, DamageList::Content content) {
  std::string known;
  if (!damage.points.empty() || damage.unknown.empty()) {
    known = damage.kind == "pack" ? next_for_pack(damage) : next_for_logbook(damage, content);
  }
  if (damage.unknown.empty()) return known;
  return known + (known.empty() ? "" : ". And ") + next_for_unknown(damage.unknown);
}

}  // namespace

void DamageList::add(const std::string& object, const std::string& kind, const Error& error,
                     const std::string& point, const std::string& what) {
  if (!point.empty()) fail(point, kind + " " + object + ": " + error.message());
  if (!has(object)) {
    if (damages_.size() >= kMaxDamages) {
      ++more_;
      return;
    }
    by_object_.emplace(object, damages_.size());
    damages_.push_back({object, kind, error.code(), error.message(), error.hint(), {}, {}, {}});
  }
  hit(object, point, what);
}

void DamageList::hit(const std::string& object, const std::string& point, const std::string& what) {
  if (!point.empty()) fail(point, object + " is damaged");
  auto found = by_object_.find(object);
  if (found == by_object_.end()) return;
  auto& damage = damages_[found->second];
  if (!point.empty()) damage.points.insert(point);
  if (what.empty() || damage.hits.size() >= kMaxHits) return;
  if (std::find(damage.hits.begin(), damage.hits.end(), what) == damage.hits.end()) {
    damage.hits.push_back(what);
  }
}

void DamageList::may_hit(const std::string& object, const std::string& point) {
  auto found = by_object_.find(object);
  if (found != by_object_.end()) damages_[found->second].unknown.insert(point);
}

void DamageList::fail(const std::string& point, const std::string& what) {
  failed_.emplace(point, what);
}

void DamageList::forget_point(const std::string& point) {
  failed_.erase(point);
  for (auto& damage : damages_) {
    damage.unknown.erase(point);
    if (damage.points.erase(point) == 0 || !damage.points.empty()) continue;
    if (damage.code == Code::not_found) damage.kind.clear();
  }
}

std::vector<Damage> DamageList::take() {
  std::erase_if(damages_, [](const Damage& damage) { return damage.kind.empty(); });
  for (auto& damage : damages_) {
    for (const auto& point : damage.points) damage.unknown.erase(point);
    auto explained = explained_.find(damage.object);
    if (explained != explained_.end()) damage.hint = next_step(damage, explained->second);
  }
  by_object_.clear();
  return std::move(damages_);
}

}  // namespace lifeboat::vault
