#include "recovery/living_positions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lifeboat::recovery {

LivingPositions living_positions(const clickhouse::SchemaGraph& graph,
                                 const clickhouse::FrozenPositions& frozen,
                                 const std::optional<GroupOffsets>& sample) {
  LivingPositions out;
  for (const auto& group : clickhouse::consumer_groups(graph)) {
    if (!sample || !sample->contains(group)) continue;
    out.offsets[group] = sample->at(group);
    const auto topics = clickhouse::topics_of(graph, group);
    for (const auto& [tp, offset] : sample->at(group)) {
      if (!std::binary_search(topics.begin(), topics.end(), tp.topic)) continue;
      out.only_sampled.insert(fmt::format("{} {}", group, kafka::to_string(tp)));
    }
  }
  for (const auto& row : frozen.positions) {
    const auto* table = graph.find_kafka(row.table);
    if (!table) continue;
    const kafka::TopicPartition tp{row.partition.topic, row.partition.partition};
    out.only_sampled.erase(fmt::format("{} {}", table->group, kafka::to_string(tp)));
    if (row.current) out.offsets[table->group][tp] = *row.current;
  }
  return out;
}

}  // namespace lifeboat::recovery
