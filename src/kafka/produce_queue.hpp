#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/cluster.hpp"
#include "kafka/raw_producer.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

// A batch on its way: a header of its own, and the stored records, which are not copied.
struct QueuedBatch {
  std::shared_ptr<const std::string> owner;
  std::string_view bytes;             // the stored batch, in `owner`
  std::optional<BatchHeader> header;  // made when it is sent for the first time
  std::int32_t sequence = 0;
  Offset old_base;
  Offset old_next;
  Offset expected;  // where it must land
  RawProducer::Done done;
};

// One partition's batches, in order. The first `in_flight` of them are sent and not answered.
// Guarded by ProduceShared::mutex; the lane's thread alone takes out and changes what is in flight.
struct PartitionQueue {
  explicit PartitionQueue(TopicPartition p) : partition(std::move(p)) {}

  const TopicPartition partition;
  std::deque<QueuedBatch> batches;
  std::size_t in_flight = 0;
  bool rewinding = false;  // one in flight failed: when all are answered, all are sent again
  bool unsure = false;     // before they are sent again: which are there already?
  BrokerId sent_to{-1};
  Offset next_expected;
  std::int32_t next_sequence = 0;
  std::chrono::steady_clock::time_point not_before{};
};

// What the lanes and the caller share.
struct ProduceShared {
  ProduceShared(Config c, Clock& k, ProduceOptions o)
      : config(std::move(c)), clock(k), options(o), cluster(config, clock, &stop) {}

  const Config config;
  Clock& clock;
  const ProduceOptions options;
  Cancel stop;
  Cluster cluster;
  Cluster::ProducerIdentity identity{-1, -1};

  std::mutex mutex;                 // guards what follows
  std::condition_variable changed;  // batches came, or went, or a failure
  ClusterInfo info;
  std::chrono::steady_clock::time_point info_from{};
  std::size_t queued_bytes = 0;
  std::exception_ptr failure;

  std::mutex telling;  // held while a Done runs
};

}  // namespace lifeboat::kafka
