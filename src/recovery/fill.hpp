#pragma once

#include <string>
#include <vector>

#include "kafka/types.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/context.hpp"
#include "vault/logbook.hpp"

// When Kafka lives and its retention has passed ClickHouse's cut: what lies between the two comes
// from the logbook. It is produced into topics of their own, from which ClickHouse consumes it
// under the original topics and offsets (clickhouse/fill.hpp), before its Kafka tables are made.
namespace lifeboat::recovery {

// Topics that begin so are a restore's own: never archived, never restored.
inline constexpr std::string_view kFillPrefix = "lifeboat-fill-";

struct MissingRange {
  kafka::LogId log;
  std::string group;
  Offset from;                     // the group's cut
  Offset until;                    // where the broker's log begins now
  std::vector<vault::Range> lost;  // parts of it that the logbook does not hold either
};
std::string to_string(const MissingRange& range);  // "events/3 [5, 10)"

// What the groups of the cut miss in the living Kafka, by group and partition.
std::vector<MissingRange> missing_ranges(const Context& context, const vault::Logbook& logbook,
                                         const ClickHouseCut& cut);

}  // namespace lifeboat::recovery
