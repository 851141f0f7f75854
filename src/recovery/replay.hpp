#pragma once

#include <functional>
#include <map>
#include <optional>

#include "kafka/cluster.hpp"
#include "kafka/offset_translation.hpp"
#include "kafka/raw_producer.hpp"
#include "recovery/context.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::recovery {

// A log of the logbook, the range of it that is wanted, and the partition into which it goes: one
// that was empty when the replay began, and into which nobody else writes.
struct ReplayedLog {
  kafka::LogId log;
  Offset from;
  Offset until;
  kafka::TopicPartition into;
};

struct ReplayOptions {
  ByteCount memory{64u << 20};  // of extents that are read and not yet acknowledged
  // Of the run that was interrupted; what it still has on its way is then not taken twice.
  std::optional<kafka::Cluster::ProducerIdentity> identity;
  // Told before the first batch is sent, to be kept for the next run.
  std::function<void(kafka::Cluster::ProducerIdentity)> keep_identity;
  std::function<void(std::uint64_t)> progress;  // bytes of batches that were handled
};

using Translations = std::map<kafka::TopicPartition, kafka::OffsetTranslation>;  // by `into`

// Produces the logs' batches again, on all partitions at once, each log in order, each offset once,
// without control batches and aborted transactions, and returns where the old offsets lie now.
// What an interrupted run has already produced is recognised by the partition's high watermark and
// not produced again. A thread reads and checks extents ahead of those that send. Error(conflict)
// when a partition does not end where the replay says; then somebody else writes into it.
Translations replay(const Context& context, const vault::Logbook& logbook,
                    const std::vector<ReplayedLog>& logs, const ReplayOptions& options);

}  // namespace lifeboat::recovery
