#pragma once

#include <compare>
#include <cstdint>
#include <optional>
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

// TLS of 1.2 or newer. Files are PEM.
struct TlsConfig {
  std::string ca{};    // who may sign the brokers' certificates; empty: whom this machine trusts
  std::string cert{};  // Lifeboat's own certificate, and the chain behind it; empty: none is shown
  std::string key{};   // of `cert`
  std::string key_password{};
  bool verify_hostname = true;  // off: any certificate that `ca` signed will do
};

enum class SaslMechanism { plain, scram_sha_256, scram_sha_512 };
std::string_view to_string(SaslMechanism mechanism);  // "SCRAM-SHA-256"

struct SaslConfig {
  SaslMechanism mechanism = SaslMechanism::scram_sha_512;
  std::string username;
  std::string password;
};

// How to reach a cluster. TLS and SASL are known only to what connects: transport.cpp and
// authenticate.cpp (own wire), client.cpp (librdkafka).
struct Config {
  std::vector<std::string> bootstrap;  // "host:port"
  std::string client_id = "lifeboat";
  Millis request_timeout{10000};
  std::optional<TlsConfig> tls{};
  std::optional<SaslConfig> sasl{};
};

// Kafka's name of an error code of the protocol: "NOT_LEADER_OR_FOLLOWER", or "error 1234".
std::string protocol_error_name(std::int16_t code);

}  // namespace lifeboat::kafka
