#pragma once

#include <string>
#include <vector>

#include "kafka/types.hpp"

// A broker's files of offsets by partition (CheckpointFile in Kafka's source, version 0):
// recovery-point-offset-checkpoint and its like.
namespace lifeboat::kafka {

struct CheckpointLine {
  TopicPartition partition;
  Offset offset;
  friend bool operator==(const CheckpointLine&, const CheckpointLine&) = default;
};

// Error(unsupported) for another version, corrupt when lines are missing.
std::vector<CheckpointLine> parse_checkpoint(const std::string& text, const std::string& subject);
std::string encode(const std::vector<CheckpointLine>& lines);

}  // namespace lifeboat::kafka
