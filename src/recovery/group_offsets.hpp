#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "kafka/types.hpp"

namespace lifeboat::recovery {

// Committed offsets of all groups of a cluster.
using GroupOffsets = std::map<std::string, std::map<kafka::TopicPartition, Offset>>;

nlohmann::json to_json(const GroupOffsets& groups);  // {group: [[topic, partition, offset], …]}
GroupOffsets group_offsets_from_json(const nlohmann::json& json);  // Error(corrupt)

}  // namespace lifeboat::recovery
