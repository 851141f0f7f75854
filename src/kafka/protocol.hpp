#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/cluster.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/wire.hpp"

namespace lifeboat::kafka {

// Requests and answers as values; pure. Each parse_ function takes the answer as
// Connection::receive() gives it, `from` names the broker in errors (Error(corrupt)).

// Error codes of the protocol that decide something here.
enum ErrorCode : std::int16_t {
  kNone = 0,
  kOffsetOutOfRange = 1,
  kUnknownTopicOrPartition = 3,
  kLeaderNotAvailable = 5,
  kNotLeader = 6,
  kRequestTimedOut = 7,
  kNetworkException = 13,
  kCoordinatorLoading = 14,
  kCoordinatorNotAvailable = 15,
  kNotCoordinator = 16,
  kNotEnoughReplicas = 19,
  kNotEnoughReplicasAfterAppend = 20,
  kUnknownMemberId = 25,
  kRebalanceInProgress = 27,
  kGroupAuthorizationFailed = 30,
  kUnsupportedSaslMechanism = 33,
  kIllegalSaslState = 34,
  kOutOfOrderSequence = 45,
  kDuplicateSequence = 46,
  kStorageError = 56,
  kSaslAuthenticationFailed = 58,
  kNonEmptyGroup = 68,
  kGroupIdNotFound = 69,
  kFencedLeaderEpoch = 74,
  kUnknownLeaderEpoch = 75,
  kUnknownTopicId = 100,
  kInconsistentTopicId = 103,
};
// Another broker, or the same one a little later, may answer well.
bool is_retriable(std::int16_t error);

Request metadata_request(std::string_view client_id);
ClusterInfo parse_metadata(std::string_view answer, const std::string& from);

enum class Which : std::int64_t { latest = -1, earliest = -2 };
struct ListedOffset {
  TopicPartition partition;
  std::int16_t error;
  Offset offset;
};
Request list_offsets_request(std::string_view client_id, Which which,
                             const std::vector<TopicPartition>& partitions);
std::vector<ListedOffset> parse_list_offsets(std::string_view answer, const std::string& from);

struct SaslHandshake {
  std::int16_t error;
  std::vector<std::string> mechanisms;  // that the broker takes
};
Request sasl_handshake_request(std::string_view client_id, SaslMechanism mechanism);
SaslHandshake parse_sasl_handshake(std::string_view answer, const std::string& from);

struct SaslAnswer {
  std::int16_t error;
  std::string message;
  std::string bytes;
  Millis lifetime;  // of the session; 0: for ever
};
Request sasl_authenticate_request(std::string_view client_id, std::string_view bytes);
SaslAnswer parse_sasl_authenticate(std::string_view answer, const std::string& from);

struct FetchPartition {
  std::string topic_id;  // as printed
  PartitionId partition;
  LeaderEpoch current_epoch{-1};
  LeaderEpoch last_epoch{-1};
  Offset offset;
  std::int32_t max_bytes = 0;
};
struct FetchLimits {
  std::int32_t max_wait_ms;
  std::int32_t max_bytes;
};
struct FetchedPartition {
  std::string topic_id;
  PartitionId partition;
  std::int16_t error;
  Offset high_watermark;
  Offset log_start;
  std::optional<Offset> diverged_at;  // the log was cut here since it was fetched:
  LeaderEpoch diverged_epoch{-1};     // the end of this epoch there
  std::string_view records;           // points into the answer
};
// Partitions are sent in the order given, those of one topic that follow one another together.
Request fetch_request(std::string_view client_id, FetchLimits limits,
                      const std::vector<FetchPartition>& partitions);
struct Fetched {
  std::int16_t error;
  std::vector<FetchedPartition> partitions;
};
Fetched parse_fetch(std::string_view answer, const std::string& from);

struct ProducerIdAnswer {
  std::int16_t error;
  std::int64_t id;
  std::int16_t epoch;
};
Request init_producer_id_request(std::string_view client_id);
ProducerIdAnswer parse_init_producer_id(std::string_view answer, const std::string& from);

struct ProducePartition {
  TopicPartition partition;
  std::string_view header;  // of one batch, and its records; both are sent from where they lie
  std::string_view records;
};
struct ProducedPartition {
  TopicPartition partition;
  std::int16_t error;
  Offset base;
  std::string message;
};
Request produce_request(std::string_view client_id, Millis timeout,
                        const std::vector<ProducePartition>& partitions);
std::vector<ProducedPartition> parse_produce(std::string_view answer, const std::string& from);

}  // namespace lifeboat::kafka
