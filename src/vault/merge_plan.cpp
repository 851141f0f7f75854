#include "vault/merge_plan.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace lifeboat::vault {
namespace {

constexpr int kClasses = 3;  // below 1/64, 1/8 and 1/2 of the wanted size

int size_class(ByteCount size, ByteCount wanted) {
  return size.value < wanted.value / 64 ? 0 : size.value < wanted.value / 8 ? 1 : 2;
}

bool old_enough(Timestamp time, Timestamp now, Millis after) {
  return now - time >= after.count();
}

bool by_time(const ObjectEntry& a, const ObjectEntry& b) {
  return std::tie(a.created, a.name.incarnation, a.name.sequence) <
         std::tie(b.created, b.name.incarnation, b.name.sequence);
}

// Whose objects may be taken, and which.
class Takeable {
 public:
  Takeable(const std::vector<ObjectEntry>& objects, const std::set<std::string>& own, Timestamp now,
           const MergeRule& rule)
      : own_(own), now_(now), after_(rule.after) {
    for (const auto& object : objects) {
      auto [it, fresh] = newest_.try_emplace(object.name.incarnation, object.created);
      if (!fresh) it->second = std::max(it->second, object.created);
    }
  }
  bool operator()(const ObjectEntry& object) const {
    const auto& incarnation = object.name.incarnation;
    bool ours = own_.count(incarnation) != 0 || old_enough(newest_.at(incarnation), now_, after_);
    return ours && old_enough(object.created, now_, after_);
  }

 private:
  const std::set<std::string>& own_;
  Timestamp now_;
  Millis after_;
  std::map<std::string, Timestamp> newest_;
};

}  // namespace

std::vector<std::vector<ObjectEntry>> plan_rewrites(const std::vector<PrunedObject>& pruned,
                                                    const std::vector<ObjectEntry>& objects,
                                                    const std::set<std::string>& own, Timestamp now,
                                                    const MergeRule& rule) {
  const Takeable takeable(objects, own, now, rule);
  std::vector<const PrunedObject*> nothing_left, some_left;
  for (const auto& one : pruned) {
    if (!takeable(one.object)) continue;
    if (one.extents == one.object.extents) {
      nothing_left.push_back(&one);
    } else if (one.bytes.value >= one.object.size.value / 4) {
      some_left.push_back(&one);
    }
  }
  std::vector<std::vector<ObjectEntry>> out;
  for (auto* all : {&nothing_left, &some_left}) {
    std::ranges::sort(*all, [](auto* a, auto* b) { return by_time(a->object, b->object); });
    std::vector<ObjectEntry> run;
    std::uint64_t bytes = 0, extents = 0;
    for (const auto* one : *all) {
      run.push_back(one->object);
      bytes += one->object.size.value - std::min(one->object.size.value, one->bytes.value);
      extents += one->object.extents - one->extents;
      if (bytes < rule.to.value && run.size() < rule.most && extents < rule.extents) continue;
      out.push_back(std::exchange(run, {}));
      bytes = extents = 0;
    }
    if (!run.empty()) out.push_back(std::move(run));
  }
  return out;
}

std::vector<std::vector<ObjectEntry>> plan_merges(const std::vector<ObjectEntry>& objects,
                                                  const std::set<std::string>& own, Timestamp now,
                                                  const MergeRule& rule) {
  const Takeable takeable(objects, own, now, rule);
  std::vector<ObjectEntry> classes[kClasses];
  for (const auto& object : objects) {
    if (!takeable(object)) continue;
    if (object.size.value >= rule.to.value / 2) continue;
    classes[size_class(object.size, rule.to)].push_back(object);
  }
  std::vector<std::vector<ObjectEntry>> out;
  for (auto& all : classes) {
    std::sort(all.begin(), all.end(), by_time);
    std::vector<ObjectEntry> run;
    std::uint64_t bytes = 0, extents = 0;
    for (auto& object : all) {
      bytes += object.size.value;
      extents += object.extents;
      run.push_back(std::move(object));
      if (run.size() < 2 ||
          (bytes < rule.to.value && run.size() < rule.most && extents < rule.extents)) {
        continue;
      }
      out.push_back(std::exchange(run, {}));
      bytes = extents = 0;
    }
    if (run.size() >= std::max<std::size_t>(rule.least, 2)) out.push_back(std::move(run));
  }
  return out;
}

}  // namespace lifeboat::vault
