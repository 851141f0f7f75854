#include "kafka/range_facts.hpp"

#include <algorithm>
#include <map>

namespace lifeboat::kafka {

namespace {

void add_epoch(std::vector<EpochStart>& epochs, EpochStart next) {
  if (!epochs.empty() && (epochs.back().epoch == next.epoch || next.first < epochs.back().first)) {
    return;
  }
  epochs.push_back(next);
}

// One transaction may be known by two beginnings, when two ranges have its end in common: the
// earlier one is right.
void add_aborted(std::vector<AbortedTransaction>& aborted, const AbortedTransaction& one) {
  const auto at = std::lower_bound(aborted.begin(), aborted.end(), one,
                                   [](const auto& a, const auto& b) { return a.end < b.end; });
  if (at != aborted.end() && at->end == one.end) {
    at->first = std::min(at->first, one.first);
  } else {
    aborted.insert(at, one);
  }
}

// What was open before `base` and what was aborted, after the range that begins there.
void go_on(std::map<std::int64_t, Offset>& open, std::vector<AbortedTransaction>& aborted,
           Offset base, const RangeFacts& more) {
  // What began at or after `base` the other range knows better: to its end.
  std::erase_if(open, [&](const auto& one) { return one.second >= base; });
  for (const auto& one : more.aborted) add_aborted(aborted, one);
  for (const auto& one : more.ended) {
    const auto begun = open.find(one.producer_id);
    if (begun == open.end()) continue;
    if (one.marker == Marker::abort) {
      add_aborted(aborted, {one.producer_id, begun->second, one.end});
    }
    open.erase(begun);
  }
  for (const auto& one : more.open) open.try_emplace(one.producer_id, one.first);
}

}  // namespace

RangeFacts facts_of(const std::vector<BatchView>& batches) {
  RangeFacts facts;
  std::map<std::int64_t, Offset> open;
  std::map<std::int64_t, EndedTransaction> ended;
  for (const auto& batch : batches) {
    add_epoch(facts.epochs, {batch.leader_epoch(), batch.base_offset()});
    if (!batch.is_transactional()) continue;
    const auto id = batch.producer().id;
    if (!batch.is_control()) {
      open.try_emplace(id, batch.base_offset());
      continue;
    }
    const auto marker = transaction_marker(batch);
    if (!marker) continue;
    ended.try_emplace(id, EndedTransaction{id, batch.base_offset(), *marker});
    const auto begun = open.find(id);
    if (begun == open.end()) continue;
    if (*marker == Marker::abort) {
      facts.aborted.push_back({id, begun->second, batch.base_offset()});
    }
    open.erase(begun);
  }
  for (const auto& [id, first] : open) facts.open.push_back({id, first});
  for (const auto& [id, one] : ended) facts.ended.push_back(one);
  return facts;
}

RangeFacts add_up(RangeFacts facts, Offset base, const RangeFacts& more) {
  for (const auto& start : more.epochs) add_epoch(facts.epochs, start);
  if (!facts.has_transactions() && !more.has_transactions()) return facts;
  std::map<std::int64_t, Offset> open;
  std::map<std::int64_t, EndedTransaction> ended;
  for (const auto& one : facts.open) open.emplace(one.producer_id, one.first);
  for (const auto& one : facts.ended) ended.emplace(one.producer_id, one);
  for (const auto& one : more.ended) ended.try_emplace(one.producer_id, one);
  go_on(open, facts.aborted, base, more);
  facts.open.clear();
  facts.ended.clear();
  for (const auto& [id, first] : open) facts.open.push_back({id, first});
  for (const auto& [id, one] : ended) facts.ended.push_back(one);
  return facts;
}

void TransactionSum::add(Offset base, Offset next, const RangeFacts& facts) {
  if (next <= next_) return;
  next_ = next;
  go_on(open_, aborted_, base, facts);
}

bool TransactionSum::open_before(Offset offset) const {
  return std::any_of(open_.begin(), open_.end(),
                     [&](const auto& one) { return one.second < offset; });
}

std::vector<AbortedTransaction> TransactionSum::never_committed() const {
  auto all = aborted_;
  for (const auto& [id, first] : open_) all.push_back({id, first, next_});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return all;
}

std::vector<OpenTransaction> TransactionSum::open() const {
  std::vector<OpenTransaction> all;
  for (const auto& [id, first] : open_) all.push_back({id, first});
  return all;
}

}  // namespace lifeboat::kafka
