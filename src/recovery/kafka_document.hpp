#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kafka/types.hpp"
#include "recovery/group_offsets.hpp"

namespace lifeboat::recovery {

struct SavedTopic {
  std::string name;
  std::string topic_id;
  int partitions = 0;
  int replication = 1;
  std::map<std::string, std::string> configs;  // what differs from the brokers' defaults
};

// What a point keeps of Kafka beside the partitions' batches, which are in the logbook.
struct KafkaDocument {
  std::string cluster_id;
  std::vector<SavedTopic> topics;  // without internal ones, by name
  GroupOffsets groups;
  // "<topic id>/<topic>" of each topic that is archived -> where its partitions' logs began then,
  // -1 when that was not known. None in documents of before there was this.
  std::optional<std::map<std::string, std::vector<std::int64_t>>> starts;

  const SavedTopic* topic(const std::string& name) const;  // nullptr: not there
};

nlohmann::json to_json(const KafkaDocument& document);
KafkaDocument kafka_document_from_json(const nlohmann::json& json);  // Error(corrupt)

}  // namespace lifeboat::recovery
