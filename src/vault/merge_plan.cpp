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

}  // namespace

std::vector<std::vector<ObjectEntry>> plan_merges(const std::vector<ObjectEntry>& objects,
                                                  const std::set<std::string>& own, Timestamp now,
                                                  const MergeRule& rule) {
  std::map<std::string, Timestamp> newest;
  for (const auto& object : objects) {
    auto [it, fresh] = newest.try_emplace(object.name.incarnation, object.created);
    if (!fresh) it->second = std::max(it->second, object.created);
  }
  std::vector<ObjectEntry> classes[kClasses];
  for (const auto& object : objects) {
    bool ours = own.count(object.name.incarnation) != 0 ||
                old_enough(newest[object.name.incarnation], now, rule.after);
    if (!ours || !old_enough(object.created, now, rule.after)) continue;
    if (object.size.value >= rule.to.value / 2) continue;
    classes[size_class(object.size, rule.to)].push_back(object);
  }
  std::vector<std::vector<ObjectEntry>> out;
  for (auto& all : classes) {
    std::sort(all.begin(), all.end(), [](const ObjectEntry& a, const ObjectEntry& b) {
      return std::tie(a.created, a.name.incarnation, a.name.sequence) <
             std::tie(b.created, b.name.incarnation, b.name.sequence);
    });
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
