#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/cancel.hpp"
#include "kafka/records.hpp"
#include "vault/logbook.hpp"

// Archived Kafka partitions, read again. One extent is in memory at a time, and of it one batch
// decompressed.
namespace lifeboat::recovery {

// A topic as it was made once. One that is deleted and made anew has another topic id.
struct ArchivedTopic {
  std::string cluster_id;
  std::string topic_id;
  std::string topic;
  struct Partition {
    kafka::LogId log;
    vault::LogSummary summary;
  };
  std::vector<Partition> partitions;  // sorted by number
  Timestamp newest;                   // of its records
};
// All that the logbook holds under this name, the newest records last.
std::vector<ArchivedTopic> archived_topics(const vault::Logbook& logbook, std::string_view topic);

// Where a range begins or ends: at an offset, or at a time, which is, as Kafka's own search by time
// has it, the first offset whose record is of that time or later, and the log's end when none is.
using Bound = std::variant<Offset, Timestamp>;

struct ReadRange {  // half-open
  Offset from;
  Offset until;
};
// nullopt for a bound: the beginning and the end of what is archived.
ReadRange resolve_range(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                        std::optional<Bound> from, std::optional<Bound> until);

// What of the range the logbook does not hold.
struct Missing {
  ReadRange range;
  std::string why;
};
std::vector<Missing> missing_of(const vault::Logbook& logbook,
                                const ArchivedTopic::Partition& partition, ReadRange range);

enum class Isolation { read_committed, read_uncommitted };

struct ReadResult {
  std::uint64_t taken = 0;
  // Transactions that have no end in the archive, and begin before the range's end: read_committed
  // leaves their records out.
  std::uint64_t open_transactions = 0;
};

// Visits the range's records in order of offsets, each once; missing ranges are stepped over. No
// control records, and with read_committed none of aborted or unfinished transactions.
// Error(corrupt) names partition and offset.
using TakeRecord = std::function<void(const kafka::BatchView&, const kafka::Record&)>;
ReadResult read_records(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                        ReadRange range, Isolation isolation, const Cancel& cancel,
                        const TakeRecord& take);

// Visits the batches that hold something of the range, as they are in the archive, each offset
// once: control batches and aborted ones too.
using TakeBatch = std::function<void(const kafka::BatchView&)>;
ReadResult read_batches(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                        ReadRange range, const Cancel& cancel, const TakeBatch& take);

}  // namespace lifeboat::recovery
