#include "recovery/fill.hpp"

#include <fmt/format.h>

#include "kafka/cluster.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

// [from, until) without what is covered.
std::vector<vault::Range> uncovered(const vault::Coverage& coverage, Position from,
                                    Position until) {
  std::vector<vault::Range> out;
  for (const auto& range : coverage.ranges) {
    if (range.to <= from) continue;
    if (range.from >= until) break;
    if (from < range.from) out.push_back({from, range.from});
    from = range.to;
  }
  if (from < until) out.push_back({from, until});
  return out;
}

}  // namespace

std::string to_string(const MissingRange& range) {
  return fmt::format("{} [{}, {})", kafka::to_string(range.log.topic_partition()), range.from,
                     range.until);
}

std::vector<MissingRange> missing_ranges(const Context& c, const vault::Logbook& logbook,
                                         const ClickHouseCut& cut) {
  kafka::Cluster cluster(kafka_config(c.config), c.clock, &c.cancel);
  const auto info = cluster.metadata();
  std::vector<MissingRange> out;
  for (const auto& [group, cursors] : cut.cut) {
    std::vector<kafka::TopicPartition> partitions;
    for (const auto& [tp, offset] : cursors) partitions.push_back(tp);
    const auto offsets = cluster.offsets(partitions);
    for (const auto& [tp, offset] : cursors) {
      const Offset start = offsets.at(tp).log_start;
      if (start <= offset) continue;
      MissingRange missing{{info.cluster_id, cut.topic_ids.at(tp.topic), tp.topic, tp.partition},
                           group,
                           offset,
                           start,
                           {}};
      missing.lost = uncovered(logbook.coverage(log_name(missing.log)), Position(offset.value),
                               Position(start.value));
      out.push_back(std::move(missing));
    }
  }
  return out;
}

}  // namespace lifeboat::recovery
