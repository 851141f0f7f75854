#include "recovery/retention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "kafka/cluster.hpp"
#include "kafka/fetcher.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

// What the vault knows of how records come.
void estimate(RetentionFacts& facts, const vault::LogSummary& log, Timestamp now) {
  auto records = static_cast<double>(log.next - log.first);
  if (records > 0 && log.bytes.value > 0) {
    facts.bytes_a_record = static_cast<double>(log.bytes.value) / records;
  }
  auto behind = static_cast<double>(facts.source_end - facts.next);
  auto seconds = static_cast<double>(now - log.max_time) / 1000;
  if (behind > 0 && seconds > 1) facts.records_a_second = behind / seconds;
}

std::vector<kafka::LogId> logs_of(const KafkaConfig& config, const kafka::ClusterInfo& info) {
  std::vector<kafka::LogId> logs;
  for (const auto& topic : info.topics) {
    if (topic.topic_id.empty() || !kafka::is_chosen(topic, config.include, config.exclude))
      continue;
    for (const auto& p : topic.partitions) {
      if (p.leader.value < 0) continue;
      logs.push_back({info.cluster_id, topic.topic_id, topic.name, p.id});
    }
  }
  return logs;
}

}  // namespace

TimeLeft time_left(const RetentionFacts& facts, Timestamp now) {
  using Kind = TimeLeft::Kind;
  if (facts.source_start > facts.next) return {Kind::passed, 0};
  if (facts.next >= facts.source_end) return {Kind::caught_up, 0};
  const auto& [time, bytes] = facts.retention;
  if (!time && !bytes) return {Kind::unlimited, 0};
  std::optional<double> least;
  bool known = true;
  auto take = [&](double seconds) {
    seconds = std::max(seconds, 0.0);
    least = std::min(least.value_or(seconds), seconds);
  };
  if (time && facts.oldest) {
    take(static_cast<double>(time->count() - (now - *facts.oldest)) / 1000);
  } else if (time) {
    known = false;
  }
  if (bytes && facts.bytes_a_record) {
    auto waiting = static_cast<double>(facts.source_end - facts.next) * *facts.bytes_a_record;
    auto room = static_cast<double>(bytes->value) - waiting;
    auto rate = facts.records_a_second.value_or(0) * *facts.bytes_a_record;
    if (room <= 0) {
      take(0);
    } else if (rate > 0) {
      take(room / rate);
    } else if (!facts.records_a_second) {
      known = false;
    }
  } else if (bytes) {
    known = false;
  }
  // What is known to be near is near, whatever else may be.
  if (least && (known || *least == 0)) return {Kind::known, *least};
  return {known ? Kind::unlimited : Kind::unknown, 0};
}

std::string to_string(const TimeLeft& left) {
  switch (left.kind) {
    case TimeLeft::Kind::caught_up:
      return "caught up";
    case TimeLeft::Kind::unlimited:
      return "unlimited";
    case TimeLeft::Kind::unknown:
      return "unknown";
    case TimeLeft::Kind::passed:
      return "passed";
    case TimeLeft::Kind::known:
      break;
  }
  if (left.seconds >= 2 * 86'400) return fmt::format("{:.0f} d", left.seconds / 86'400);
  if (left.seconds >= 2 * 3600) return fmt::format("{:.0f} h", left.seconds / 3600);
  if (left.seconds >= 120) return fmt::format("{:.0f} min", left.seconds / 60);
  return fmt::format("{:.0f} s", left.seconds);
}

bool alarming(const TimeLeft& left, Millis threshold) {
  return left.kind == TimeLeft::Kind::passed ||
         (left.kind == TimeLeft::Kind::known &&
          left.seconds * 1000 < static_cast<double>(threshold.count()));
}

std::vector<PartitionLeft> partitions_left(const Context& c, const vault::Logbook& logbook) {
  auto config = kafka_config(c.config);
  kafka::Cluster cluster(config, c.clock, &c.cancel);
  auto logs = logs_of(*c.config.kafka, cluster.metadata());
  std::vector<kafka::TopicPartition> partitions;
  std::vector<std::string> topics;
  for (const auto& log : logs) {
    partitions.push_back(log.topic_partition());
    if (topics.empty() || topics.back() != log.topic) topics.push_back(log.topic);
  }
  auto offsets = cluster.offsets(partitions);
  auto retention = kafka::retention_of(config, topics);
  std::map<std::string, vault::LogSummary> known;
  for (auto& summary : logbook.logs()) known[summary.log.value] = summary;

  auto now = c.clock.now();
  std::vector<PartitionLeft> out;
  std::map<kafka::LogId, Offset> behind;
  for (const auto& log : logs) {
    PartitionLeft one{log, {}, {}};
    auto limits = retention.find(log.topic);
    if (limits == retention.end()) continue;  // deleted meanwhile
    auto& facts = one.facts;
    facts.retention = limits->second;
    facts.source_start = Position(offsets.at(log.topic_partition()).log_start.value);
    facts.source_end = Position(offsets.at(log.topic_partition()).high_watermark.value);
    facts.next = facts.source_start;
    if (auto it = known.find(log_name(log).value); it != known.end()) {
      facts.next = it->second.next;
      estimate(facts, it->second, now);
    }
    bool waits = facts.next >= facts.source_start && facts.next < facts.source_end;
    if (waits && facts.retention.time) behind[log] = Offset(facts.next.value);
    out.push_back(std::move(one));
  }
  auto times = kafka::times_of(config, behind, c.clock, c.cancel);
  for (auto& one : out) {
    if (auto it = times.find(one.log); it != times.end()) one.facts.oldest = it->second;
    one.left = time_left(one.facts, now);
  }
  return out;
}

}  // namespace lifeboat::recovery
