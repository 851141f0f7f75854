#pragma once

#include <optional>
#include <set>
#include <string>

#include "clickhouse/freeze.hpp"
#include "clickhouse/schema.hpp"
#include "recovery/group_sampler.hpp"

namespace lifeboat::recovery {

// Where each group of a ClickHouse that outlived Kafka stands: what its consumers say, else the
// last sample (a partition of which nothing was read since it was assigned has not moved since).
struct LivingPositions {
  GroupOffsets offsets;
  // "group topic/partition" of those of which only the sample tells, as no consumer has them: it
  // may be older than what was read last.
  std::set<std::string> only_sampled;
};

// Pure. Partitions that no Kafka table of the graph reads are taken from the sample as they are.
LivingPositions living_positions(const clickhouse::SchemaGraph& graph,
                                 const clickhouse::FrozenPositions& frozen,
                                 const std::optional<GroupOffsets>& sample);

}  // namespace lifeboat::recovery
