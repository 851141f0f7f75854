#pragma once

#include <atomic>

#include "kafka/cluster.hpp"
#include "kafka/offset_translation.hpp"
#include "kafka/raw_producer.hpp"
#include "recovery/context.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::recovery {

struct ReplayedLog {
  kafka::LogId log;
  vault::LogSummary summary;
};

class ReplayProgress {
 public:
  ReplayProgress(Reporter& reporter, std::uint64_t total) : reporter_(reporter), total_(total) {}
  void add(std::uint64_t bytes) {
    done_ += bytes;
    reporter_.progress("batches", done_, total_, "bytes");
  }

 private:
  Reporter& reporter_;
  std::uint64_t total_;
  std::atomic<std::uint64_t> done_{0};
};

// Produces a log's batches again into the partition of the same name, in order, each offset once,
// without control batches and aborted transactions, and returns where the old offsets lie now.
// What an interrupted run has already produced is recognised by the partition's high watermark
// (nobody else writes there) and not produced again. Error(conflict) when the partition does not
// end where the replay says; then somebody else writes into it.
kafka::OffsetTranslation replay_log(const Context& context, const vault::Logbook& logbook,
                                    kafka::Cluster& cluster, kafka::RawProducer& producer,
                                    const ReplayedLog& log, ReplayProgress& progress);

}  // namespace lifeboat::recovery
