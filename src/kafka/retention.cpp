#include "kafka/retention.hpp"

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/error.hpp"
#include "kafka/client.hpp"
#include "kafka/cluster.hpp"
#include "kafka/connection.hpp"
#include "kafka/protocol.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

namespace {

constexpr std::int32_t kMostOfPartition = 1 << 20;
constexpr std::int32_t kMostOfAnswer = 16 << 20;
constexpr std::size_t kMostBytes = 128u << 20;

struct DestroyResource {
  void operator()(rd_kafka_ConfigResource_t* resource) const {
    rd_kafka_ConfigResource_destroy(resource);
  }
};
using Resource = std::unique_ptr<rd_kafka_ConfigResource_t, DestroyResource>;

std::optional<std::int64_t> limit(const std::map<std::string, std::string>& settings,
                                  const char* key) {
  const auto it = settings.find(key);
  std::int64_t n = -1;
  if (it != settings.end()) {
    std::from_chars(it->second.data(), it->second.data() + it->second.size(), n);
  }
  return n < 0 ? std::nullopt : std::optional(n);
}

Retention read_retention(const rd_kafka_ConfigResource_t* resource) {
  std::map<std::string, std::string> settings;
  std::size_t n = 0;
  const auto** entries = rd_kafka_ConfigResource_configs(resource, &n);
  for (std::size_t i = 0; i < n; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value != nullptr) settings[rd_kafka_ConfigEntry_name(entries[i])] = value;
  }
  Retention out;
  if (settings["cleanup.policy"].find("delete") == std::string::npos) return out;
  if (const auto time = limit(settings, "retention.ms")) out.time = Millis(*time);
  if (const auto bytes = limit(settings, "retention.bytes")) {
    out.bytes = ByteCount(static_cast<std::uint64_t>(*bytes));
  }
  return out;
}

// The time of the first batch that reaches beyond `offset`.
std::optional<Timestamp> first_time(std::string_view records, Offset offset) {
  for (const auto& batch : split_batches(records).batches) {
    if (batch.next_offset() <= offset) continue;
    return batch.is_log_append_time() ? batch.max_timestamp() : batch.base_timestamp();
  }
  return std::nullopt;
}

// Asks one leader until nothing new comes: an answer surely holds a whole batch of one partition
// only.
void ask_leader(const Config& config, const BrokerInfo& broker, std::map<LogId, Offset> wanted,
                const Cancel& cancel, std::map<LogId, Timestamp>& found) {
  Connection connection(broker.host, broker.port, config, &cancel);
  for (bool more = true; more && !wanted.empty();) {
    more = false;
    std::vector<FetchPartition> partitions;
    std::map<std::pair<std::string, PartitionId>, LogId> asked;
    for (const auto& [log, offset] : wanted) {
      partitions.push_back({log.topic_id, log.partition, LeaderEpoch(-1), LeaderEpoch(-1), offset,
                            kMostOfPartition});
      asked[{log.topic_id, log.partition}] = log;
    }
    connection.send(fetch_request(config.client_id, {0, kMostOfAnswer}, partitions));
    std::string buffer;
    const auto bytes =
        connection.receive(buffer, Deadline::after(config.request_timeout), kMostBytes);
    for (const auto& answer : parse_fetch(bytes, connection.name()).partitions) {
      const auto log = asked.find({answer.topic_id, answer.partition});
      if (log == asked.end()) continue;
      const auto offset = wanted.find(log->second);
      if (offset == wanted.end()) continue;
      if (answer.error == kNone) {
        const auto time = first_time(answer.records, offset->second);
        if (!time) continue;
        found[log->second] = *time;
      }
      wanted.erase(offset);
      more = true;
    }
  }
}

}  // namespace

std::map<std::string, Retention> retention_of(const Config& config,
                                              const std::vector<std::string>& topics) {
  std::map<std::string, Retention> out;
  if (topics.empty()) return out;
  const auto client = make_client(RD_KAFKA_PRODUCER, client_conf(config, {}));
  std::vector<Resource> resources;
  std::vector<rd_kafka_ConfigResource_t*> asked;
  for (const auto& topic : topics) {
    resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    asked.push_back(resources.back().get());
  }
  AdminOptions options(rd_kafka_AdminOptions_new(client.get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  const auto timeout = static_cast<int>(config.request_timeout.count());
  char why[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout, why, sizeof why);
  Queue queue(rd_kafka_queue_new(client.get()));
  rd_kafka_DescribeConfigs(client.get(), asked.data(), asked.size(), options.get(), queue.get());
  Event event(rd_kafka_queue_poll(queue.get(), timeout + 1000));
  const auto failed = [&](rd_kafka_resp_err_t code, const char* message) {
    return client_error(code, "topics", "reading their retention", message);
  };
  if (!event) throw failed(RD_KAFKA_RESP_ERR__TIMED_OUT, nullptr);
  if (const auto code = rd_kafka_event_error(event.get()); code != 0) {
    throw failed(code, rd_kafka_event_error_string(event.get()));
  }
  std::size_t n = 0;
  const auto** results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto code = rd_kafka_ConfigResource_error(results[i]);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
    if (code != 0) throw failed(code, rd_kafka_ConfigResource_error_string(results[i]));
    out[rd_kafka_ConfigResource_name(results[i])] = read_retention(results[i]);
  }
  return out;
}

std::map<LogId, Timestamp> times_of(const Config& config, const std::map<LogId, Offset>& offsets,
                                    Clock& clock, const Cancel& cancel) {
  std::map<LogId, Timestamp> found;
  if (offsets.empty()) return found;
  const auto info = Cluster(config, clock, &cancel).metadata();
  std::map<BrokerId, std::map<LogId, Offset>> leaders;
  for (const auto& [log, offset] : offsets) {
    const auto* topic = info.topic(log.topic);
    const auto* partition = info.partition(log.topic_partition());
    if (topic == nullptr || topic->topic_id != log.topic_id || partition == nullptr) continue;
    if (info.broker(partition->leader) != nullptr) leaders[partition->leader][log] = offset;
  }
  for (auto& [leader, wanted] : leaders) {
    ask_leader(config, *info.broker(leader), std::move(wanted), cancel, found);
  }
  return found;
}

}  // namespace lifeboat::kafka
