#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/types.hpp"

namespace lifeboat::kafka {

struct TopicPartition {
  std::string topic;
  PartitionId partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};
std::string to_string(const TopicPartition& tp);  // "events/3"

// One log for ever: a topic that is deleted and made again under its name has another topic id
// (KIP-516), a cluster that was lost and made again has another cluster id.
struct LogId {
  std::string cluster_id;
  std::string topic_id;  // 22 characters of URL-safe base64 without padding, as Kafka prints it
  std::string topic;
  PartitionId partition;
  friend auto operator<=>(const LogId&, const LogId&) = default;
  TopicPartition topic_partition() const { return {topic, partition}; }
};
std::string to_string(const LogId& log);  // "events/3 (topic id …)"

// Epoch of a partition's leadership (KIP-101); -1 when not known.
using LeaderEpoch = Strong<struct LeaderEpochTag, std::int32_t>;
// Numeric id of a broker; -1 when there is none.
using BrokerId = Strong<struct BrokerIdTag, std::int32_t>;

// How to reach a cluster. PLAINTEXT; TLS and SASL will be fields of this struct, and become known
// only to connection.cpp (own wire) and client.cpp (librdkafka).
struct Config {
  std::vector<std::string> bootstrap;  // "host:port"
  std::string client_id = "lifeboat";
  Millis request_timeout{10000};
};

// Kafka's name of an error code of the protocol: "NOT_LEADER_OR_FOLLOWER", or "error 1234".
std::string protocol_error_name(std::int16_t code);

}  // namespace lifeboat::kafka
