#include "vault/sequence_set.hpp"

#include <algorithm>

namespace lifeboat::vault {

void SequenceSet::add(std::uint64_t first, std::uint64_t end) {
  if (first >= end) return;
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin() && std::prev(it)->second >= first) --it;
  while (it != ranges_.end() && it->first <= end) {
    first = std::min(first, it->first);
    end = std::max(end, it->second);
    it = ranges_.erase(it);
  }
  ranges_.emplace(first, end);
}

bool SequenceSet::has(std::uint64_t sequence) const {
  auto it = ranges_.upper_bound(sequence);
  return it != ranges_.begin() && sequence < std::prev(it)->second;
}

bool SequenceSet::has_all(const SequenceSet& other) const {
  return std::all_of(other.ranges_.begin(), other.ranges_.end(), [&](const auto& range) {
    auto it = ranges_.upper_bound(range.first);
    return it != ranges_.begin() && range.second <= std::prev(it)->second;
  });
}

bool SequenceSet::meets(const SequenceSet& other) const {
  return std::any_of(other.ranges_.begin(), other.ranges_.end(), [&](const auto& range) {
    auto it = ranges_.lower_bound(range.second);  // the first that begins after it
    return it != ranges_.begin() && range.first < std::prev(it)->second;
  });
}

std::uint64_t SequenceSet::count() const {
  std::uint64_t n = 0;
  for (const auto& [first, end] : ranges_) n += end - first;
  return n;
}

void ObjectSet::add(const std::string& incarnation, std::uint64_t sequence) {
  sets_[incarnation].add(sequence);
}
void ObjectSet::add(const std::string& incarnation, std::uint64_t first, std::uint64_t end) {
  if (first < end) sets_[incarnation].add(first, end);
}
void ObjectSet::add(const ObjectSet& other) {
  for (const auto& [incarnation, set] : other.sets_) {
    for (const auto& [first, end] : set.ranges()) sets_[incarnation].add(first, end);
  }
}

bool ObjectSet::has(const std::string& incarnation, std::uint64_t sequence) const {
  auto it = sets_.find(incarnation);
  return it != sets_.end() && it->second.has(sequence);
}

bool ObjectSet::has_all(const ObjectSet& other) const {
  return std::all_of(other.sets_.begin(), other.sets_.end(), [&](const auto& set) {
    auto it = sets_.find(set.first);
    return it != sets_.end() && it->second.has_all(set.second);
  });
}

bool ObjectSet::meets(const ObjectSet& other) const {
  return std::any_of(other.sets_.begin(), other.sets_.end(), [&](const auto& set) {
    auto it = sets_.find(set.first);
    return it != sets_.end() && it->second.meets(set.second);
  });
}

std::uint64_t ObjectSet::count() const {
  std::uint64_t n = 0;
  for (const auto& [_, set] : sets_) n += set.count();
  return n;
}

}  // namespace lifeboat::vault
