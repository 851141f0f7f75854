#pragma once

#include <map>
#include <vector>

#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

// The plain way to find what was aborted, to compare others with: over all batches in order.
// Batches seen again are ignored.
class TransactionScan {
 public:
  void add(const BatchView& batch);
  // Transactions without an end count as aborted: their producer is gone. Sorted by `first`.
  std::vector<AbortedTransaction> finish() const;

 private:
  std::map<std::int64_t, Offset> open_;  // producer id -> first offset
  std::vector<AbortedTransaction> aborted_;
  Offset next_{0};
};

}  // namespace lifeboat::kafka
