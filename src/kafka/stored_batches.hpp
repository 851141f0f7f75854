#pragma once

#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "kafka/cluster.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

// A batch that was sent to a partition, where it must land and as whose.
struct SentBatch {
  Offset base;
  ProducerStamp producer;
};

// How many of `sent`, in order, lie in the partition's log, by its own batches' headers. Waits for
// nothing. Error(refused) when somebody else's batch lies where one of them must be;
// Error(unavailable) and Error(timeout) when the leader does not tell now.
std::size_t count_stored(const Config& config, const ClusterInfo& info,
                         const TopicPartition& partition, const std::vector<SentBatch>& sent,
                         const Cancel& cancel);

// For whoever finds somebody else's records where a batch was to land.
Error somebody_else_writes(const TopicPartition& partition, const std::string& what);

}  // namespace lifeboat::kafka
