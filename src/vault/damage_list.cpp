#include "vault/damage_list.hpp"

#include <algorithm>

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMaxHits = 100;  // of one damage

std::string next_step(const Damage& damage) {
  const auto& some = damage.points.empty() ? std::string() : *damage.points.begin();
  if (damage.kind == "pack") {
    if (damage.points.empty()) {
      return "nothing is lost: no point needs what is damaged, or another pack has it whole. "
             "Backups do not rely on this one; prune removes it when nothing else of it is needed";
    }
    return "run `lifeboat backup`: what its source still has, unchanged, is stored anew, and heals "
           "these points too; or put the object back from a replica of the vault; then `lifeboat "
           "verify --data`. To give a point up: `lifeboat prune --drop " +
           some + "`";
  }
  if (damage.points.empty()) {
    return "nothing is lost: no point needs the range, or another object holds it whole";
  }
  return "take a new point now (`lifeboat backup`): it needs nothing of this range. With the "
         "points that do, recover to before it, or while the source still has it; or put the "
         "object back from a replica of the vault";
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
    damages_.push_back({object, kind, error.code(), error.message(), error.hint(), {}, {}});
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

void DamageList::fail(const std::string& point, const std::string& what) {
  failed_.emplace(point, what);
}

void DamageList::forget_point(const std::string& point) {
  failed_.erase(point);
  for (auto& damage : damages_) {
    if (damage.points.erase(point) == 0 || !damage.points.empty()) continue;
    if (damage.code == Code::not_found) damage.kind.clear();
  }
}

std::vector<Damage> DamageList::take() {
  std::erase_if(damages_, [](const Damage& damage) { return damage.kind.empty(); });
  for (auto& damage : damages_) {
    if (explained_.contains(damage.object)) damage.hint = next_step(damage);
  }
  by_object_.clear();
  return std::move(damages_);
}

}  // namespace lifeboat::vault
