#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "kafka/fetcher.hpp"
#include "recovery/backup.hpp"
#include "recovery/kafka_document.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {
namespace {

// What the brokers hold of all that is archived, so that prune keeps as much for a restore.
void read_starts(const Context& c, kafka::Cluster& cluster, const kafka::ClusterInfo& info,
                 KafkaDocument& document) {
  const auto& config = *c.config.kafka;
  std::vector<kafka::TopicPartition> led;
  auto& starts = document.starts.emplace();
  for (const auto& topic : info.topics) {
    if (!kafka::is_chosen(topic, config.include, config.exclude)) continue;
    starts[topic.topic_id + "/" + topic.name].assign(topic.partitions.size(), -1);
    for (const auto& p : topic.partitions) {
      if (p.leader.value >= 0) led.push_back({topic.name, p.id});
    }
  }
  for (const auto& [tp, offsets] : cluster.offsets(led)) {
    auto& of_topic = starts[info.topic(tp.topic)->topic_id + "/" + tp.topic];
    const auto index = static_cast<std::size_t>(tp.partition.value);
    if (index < of_topic.size()) of_topic[index] = offsets.log_start.value;
  }
}

KafkaDocument read_kafka(const Context& c) {
  kafka::Cluster cluster(kafka_config(c.config), c.clock);
  kafka::Admin admin(kafka_config(c.config), c.clock);
  auto info = cluster.metadata();
  KafkaDocument out;
  out.cluster_id = info.cluster_id;
  for (const auto& topic : info.topics) {
    const auto& config = *c.config.kafka;
    // Kafka makes its internal topics by itself.
    if (topic.internal || topic.partitions.empty() ||
        !kafka::is_chosen(topic, config.include, config.exclude)) {
      continue;
    }
    out.topics.push_back({topic.name, topic.topic_id, static_cast<int>(topic.partitions.size()),
                          static_cast<int>(topic.partitions.front().replicas.size()),
                          admin.topic_configs(topic.name)});
  }
  read_starts(c, cluster, info, out);
  for (const auto& group : admin.list_groups()) out.groups[group] = admin.committed(group);
  return out;
}

}  // namespace

nlohmann::json snapshot_kafka(const Context& c, vault::Chunks& chunks, const std::string& point) {
  auto document = read_kafka(c);
  vault::SnapshotWriter writer(chunks, "kafka-metadata");
  writer.add_file("kafka.json", 0600, c.clock.now(), to_json(document).dump());
  nlohmann::json meta = {{"point", point},
                         {"cluster_id", document.cluster_id},
                         {"topics", document.topics.size()},
                         {"groups", document.groups.size()}};
  meta["snapshot"] = writer.finish(meta).hex();
  return meta;
}

}  // namespace lifeboat::recovery
