#include "kafka/stored_batches.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kafka/connection.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {
namespace {

Error not_now(const TopicPartition& partition, const std::string& why) {
  return Error(Code::unavailable, to_string(partition), why);
}

// The answer's first batch is whole, however little is asked for. Empty: the log ends there.
std::string_view first_batch(Connection& connection, const Config& config, std::string& buffer,
                             const TopicPartition& partition, const FetchPartition& asked) {
  connection.send(fetch_request(config.client_id, {0, asked.max_bytes}, {asked}));
  const auto bytes =
      connection.receive(buffer, Deadline::after(config.request_timeout), kMaxBatch + (1u << 20));
  const auto answer = parse_fetch(bytes, connection.name());
  if (answer.error != kNone) throw not_now(partition, protocol_error_name(answer.error));
  for (const auto& one : answer.partitions) {
    if (one.topic_id != asked.topic_id || one.partition != asked.partition) continue;
    if (one.error == kOffsetOutOfRange) return {};
    if (one.error != kNone) throw not_now(partition, protocol_error_name(one.error));
    return one.records;
  }
  throw not_now(partition, "Fetch does not answer");
}

bool is_there(const TopicPartition& partition, const SentBatch& sent, std::string_view records) {
  const auto split = split_batches(records);
  if (split.batches.empty()) return false;
  const auto& batch = split.batches.front();
  const auto producer = batch.producer();
  if (batch.base_offset() == sent.base && producer.id == sent.producer.id &&
      producer.epoch == sent.producer.epoch &&
      producer.base_sequence == sent.producer.base_sequence) {
    return true;
  }
  throw somebody_else_writes(partition,
                             fmt::format("another batch lies at offset {}", batch.base_offset()));
}

}  // namespace

Error somebody_else_writes(const TopicPartition& partition, const std::string& what) {
  return Error(
      Code::refused, to_string(partition), "somebody else writes into it: " + what,
      "stop the producers of topic " + partition.topic + ", delete the topic and restore it again");
}

std::size_t count_stored(const Config& config, const ClusterInfo& info,
                         const TopicPartition& partition, const std::vector<SentBatch>& sent,
                         const Cancel& cancel) {
  const auto topic = std::find_if(info.topics.begin(), info.topics.end(),
                                  [&](const auto& one) { return one.name == partition.topic; });
  const auto* there = info.partition(partition);
  const auto* broker = there == nullptr ? nullptr : info.broker(there->leader);
  if (topic == info.topics.end() || broker == nullptr) throw not_now(partition, "has no leader");
  Connection connection(broker->host, broker->port, config, &cancel);
  std::string buffer;
  std::size_t count = 0;
  for (const auto& one : sent) {
    const FetchPartition asked{
        topic->topic_id, partition.partition, LeaderEpoch(-1), LeaderEpoch(-1), one.base, 1};
    if (!is_there(partition, one, first_batch(connection, config, buffer, partition, asked))) break;
    ++count;
  }
  return count;
}

}  // namespace lifeboat::kafka
