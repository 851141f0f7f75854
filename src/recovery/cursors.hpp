#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kafka/types.hpp"
#include "recovery/context.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {

// One cursor of a consumer group beside the log it reads.
struct CursorRow {
  std::string group;
  kafka::TopicPartition partition;
  std::optional<Offset> committed;
  std::optional<Offset> cut;  // of the point that was asked for
  Offset log_start;
  Offset high_watermark;
};
struct GroupCursors {
  std::string group;
  std::string state;                 // as Kafka calls it
  std::vector<std::string> members;  // "client (host, member id)"
  std::vector<CursorRow> rows;
};

// All groups, or `group` alone; with the cuts of `point` beside.
std::vector<GroupCursors> show_cursors(const Context& context,
                                       const std::optional<std::string>& group,
                                       const std::optional<vault::RecoveryPoint>& point);

struct CursorReset {
  std::string group;
  std::map<kafka::TopicPartition, Offset> offsets;  // where to put them
};
// The cut of `group` in the point, checked against the living Kafka: same topics (by topic id), not
// behind the log start (Error(refused) names the ranges that retention took).
CursorReset plan_reset(const Context& context, const vault::RecoveryPoint& point,
                       const std::string& group);
// Error(refused) that names the members while somebody consumes; reads back what it wrote.
void reset_cursors(const Context& context, const CursorReset& reset);

}  // namespace lifeboat::recovery
