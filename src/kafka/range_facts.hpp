#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

struct EpochStart {
  LeaderEpoch epoch;
  Offset first;  // base offset of the epoch's first batch here
  friend auto operator<=>(const EpochStart&, const EpochStart&) = default;
};
struct OpenTransaction {
  std::int64_t producer_id;
  Offset first;
  friend auto operator<=>(const OpenTransaction&, const OpenTransaction&) = default;
};
struct EndedTransaction {
  std::int64_t producer_id;
  Offset end;  // the marker's offset
  Marker marker;
  friend auto operator<=>(const EndedTransaction&, const EndedTransaction&) = default;
};

// What a reader must know of a range of batches without scanning them. It tells of these batches
// alone, nothing that lies before or after: so it does not matter who fetched a range, in how many
// pieces, or what he had seen before. Facts of ranges that follow each other add up.
struct RangeFacts {
  std::vector<EpochStart> epochs;  // each change of the leader epoch, the first batch's too
  std::vector<AbortedTransaction> aborted;  // aborted by a marker in the range; by `end`
  std::vector<OpenTransaction> open;        // without a marker up to the range's end; by producer
  std::vector<EndedTransaction> ended;      // the first marker of each producer; by producer
  bool has_transactions() const { return !(aborted.empty() && open.empty() && ended.empty()); }
  friend bool operator==(const RangeFacts&, const RangeFacts&) = default;
};

// The batches are in order, without overlap.
RangeFacts facts_of(const std::vector<BatchView>& batches);

// Of a range that reaches to or beyond `base`, and of another that begins at `base` and ends later:
// the facts of both together. What the ranges have in common is counted once. A hole between them
// is taken for offsets without batches.
RangeFacts add_up(RangeFacts facts, Offset base, const RangeFacts& more);

// The same for many ranges, for a reader: which transactions never came to be. Memory grows with
// the aborted transactions and with those that are open at once.
class TransactionSum {
 public:
  // Ranges sorted by base; they may overlap. One that ends no later than those before adds nothing.
  void add(Offset base, Offset next, const RangeFacts& facts);
  Offset next() const { return next_; }
  // Whether a transaction that began before `offset` has no end yet.
  bool open_before(Offset offset) const;
  // Those aborted, and those without an end up to next(). Sorted by `first`.
  std::vector<AbortedTransaction> never_committed() const;
  std::vector<OpenTransaction> open() const;  // sorted by producer

 private:
  Offset next_{0};
  std::map<std::int64_t, Offset> open_;  // producer id -> first offset
  std::vector<AbortedTransaction> aborted_;
};

}  // namespace lifeboat::kafka
