#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

struct BrokerInfo {
  BrokerId id;
  std::string host;
  int port = 0;
  friend bool operator==(const BrokerInfo&, const BrokerInfo&) = default;
};

struct PartitionInfo {
  PartitionId id;
  BrokerId leader{-1};
  LeaderEpoch leader_epoch{-1};
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> isr;
  std::int16_t error = 0;  // protocol_error_name() names it; 0: none
};

struct TopicInfo {
  std::string name;
  std::string topic_id;  // as in LogId; empty when the brokers are too old to give one
  bool internal = false;
  std::int16_t error = 0;
  std::vector<PartitionInfo> partitions;  // by id
};

struct ClusterInfo {
  std::string cluster_id;
  BrokerId controller{-1};
  std::vector<BrokerInfo> brokers;
  std::vector<TopicInfo> topics;  // by name

  const TopicInfo* topic(const std::string& name) const;  // nullptr: not there
  const PartitionInfo* partition(const TopicPartition& tp) const;
  const BrokerInfo* broker(BrokerId id) const;
};

// The log holds [log_start, high_watermark) for readers.
struct PartitionOffsets {
  Offset log_start;
  Offset high_watermark;
};

// What a cluster is, asked on the wire (Metadata v12, ListOffsets v4, InitProducerId v0 of
// https://kafka.apache.org/protocol). Keeps connections; thread-safe, one request
// at a time. Throws Error: unavailable (no broker answers), unsupported (the broker does not know
// the version), failed (it answered with an error), corrupt (its answer cannot be read).
class Cluster {
 public:
  // `cancel`, if given, ends every call with Error(cancelled); it must outlive the cluster.
  Cluster(Config config, Clock& clock, const Cancel* cancel = nullptr);
  ~Cluster();

  // All topics, internal ones too. Asks known brokers and the bootstrap list until one answers.
  ClusterInfo metadata();

  // Of the leaders. Leaders that move are followed until Config::request_timeout has passed.
  // A partition that does not exist is Error(not_found).
  std::map<TopicPartition, PartitionOffsets> offsets(const std::vector<TopicPartition>& partitions);

  // The identity of a new idempotent producer.
  struct ProducerIdentity {
    std::int64_t id;
    std::int16_t epoch;
  };
  ProducerIdentity new_producer();
  // Takes producer ids until every broker hands out only such as are above `past`: a log that came
  // from elsewhere holds sequence numbers of the others. Error(unsupported) when these are too
  // many.
  void skip_producer_ids(std::int64_t past);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
