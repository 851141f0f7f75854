#pragma once

#include <cstdint>
#include <vector>

#include "clickhouse/restore.hpp"

namespace lifeboat::clickhouse {

// Where ClickHouse stands when Kafka is gone. The groups' committed offsets are lost with Kafka;
// the consumers' own positions are not, as long as no broker answers at the old address: a new one
// takes the membership, and the positions with it. So freeze before the new Kafka starts.
struct FrozenPositions {
  std::vector<ConsumerPosition> positions;
  std::uint64_t messages_read = 0;
  // All rounds have ended: what was read is in the targets, so `positions` are exact. False: a
  // consumer still waits for its commit, which without a broker can be for ever. Its block is
  // written or is just being written; confirm_frozen() proves it when a broker answers again.
  bool idle = false;
};

// Pauses the tables and returns when they are idle, or when nothing was read for `settle` (longer
// than kafka_flush_interval_ms). They stay paused: SYSTEM START by repair(), or drop them. A
// position is valid for about a minute: then ClickHouse closes unused consumers
// (kafka_consumers_pool_ttl_ms). Error(could_not_verify) when a consumer failed to write its last
// block; Error(timeout). All tables are started again when it throws.
FrozenPositions freeze_positions(Client& client, const std::vector<TableRef>& tables, Millis settle,
                                 const Deadline& deadline, const Cancel& cancel);

// To be called when a broker answers again at the tables' address (it may be empty): the hanging
// commits end then. Returns when all tables are idle and nothing was read since the freeze.
// Error(could_not_verify) otherwise; the tables stay paused.
void confirm_frozen(Client& client, const std::vector<TableRef>& tables,
                    const FrozenPositions& frozen, const Deadline& deadline, const Cancel& cancel);

}  // namespace lifeboat::clickhouse
