#include "kafka/transaction_scan.hpp"

#include <algorithm>

namespace lifeboat::kafka {

void TransactionScan::add(const BatchView& batch) {
  if (batch.next_offset() <= next_) return;
  next_ = batch.next_offset();
  const auto id = batch.producer().id;
  if (!batch.is_control()) {
    if (batch.is_transactional()) open_.try_emplace(id, batch.base_offset());
    return;
  }
  const auto marker = transaction_marker(batch);
  const auto open = open_.find(id);
  if (!marker || open == open_.end()) return;
  if (*marker == Marker::abort) aborted_.push_back({id, open->second, batch.base_offset()});
  open_.erase(open);
}

std::vector<AbortedTransaction> TransactionScan::finish() const {
  auto aborted = aborted_;
  for (const auto& [id, first] : open_) aborted.push_back({id, first, next_});
  std::sort(aborted.begin(), aborted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return aborted;
}

}  // namespace lifeboat::kafka
