#include "recovery/kafka_document.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace lifeboat::recovery {

const SavedTopic* KafkaDocument::topic(const std::string& name) const {
  auto it =
      std::find_if(topics.begin(), topics.end(), [&](const auto& t) { return t.name == name; });
  return it == topics.end() ? nullptr : &*it;
}

nlohmann::json to_json(const KafkaDocument& document) {
  auto topics = nlohmann::json::array();
  for (const auto& t : document.topics) {
    topics.push_back({{"name", t.name},
                      {"topic_id", t.topic_id},
                      {"partitions", t.partitions},
                      {"replication", t.replication},
                      {"configs", t.configs}});
  }
  nlohmann::json out = {{"cluster_id", document.cluster_id},
                        {"topics", std::move(topics)},
                        {"groups", to_json(document.groups)}};
  if (document.starts) out["starts"] = *document.starts;
  return out;
}

KafkaDocument kafka_document_from_json(const nlohmann::json& json) {
  try {
    KafkaDocument out;
    out.cluster_id = json.at("cluster_id").get<std::string>();
    for (const auto& t : json.at("topics")) {
      SavedTopic topic{t.at("name"), t.at("topic_id"), t.at("partitions"), t.at("replication"), {}};
      t.at("configs").get_to(topic.configs);
      if (topic.partitions < 1 || topic.replication < 1) {
        throw Error(Code::corrupt, topic.name, "has no partitions or replicas");
      }
      out.topics.push_back(std::move(topic));
    }
    if (json.contains("starts")) json.at("starts").get_to(out.starts.emplace());
    out.groups = group_offsets_from_json(json.at("groups"));
    return out;
  } catch (const nlohmann::json::exception& e) {
    throw Error(Code::corrupt, "Kafka's topics and groups in the vault", e.what());
  }
}

}  // namespace lifeboat::recovery
