#include "recovery/cursors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "recovery/clickhouse_document.hpp"

namespace lifeboat::recovery {
namespace {

// The cuts of a point, if it has ClickHouse.
GroupOffsets cuts_of(const std::optional<vault::RecoveryPoint>& point) {
  if (!point || !point->stores.contains("clickhouse")) return {};
  return clickhouse_document_from_json(point->stores["clickhouse"]).cut.cut;
}

void refuse_members(const kafka::GroupDescription& described, const std::string& group) {
  if (described.members.empty()) return;
  std::vector<std::string> names;
  for (const auto& m : described.members) names.push_back(kafka::to_string(m));
  throw Error(Code::refused, "consumer group " + group,
              fmt::format("somebody consumes: {}. Nothing was changed", fmt::join(names, ", ")),
              "stop these consumers (in ClickHouse: DETACH TABLE … SYNC of the Kafka tables), then "
              "run it again");
}

}  // namespace

std::vector<GroupCursors> show_cursors(const Context& c, const std::optional<std::string>& group,
                                       const std::optional<vault::RecoveryPoint>& point) {
  kafka::Admin admin(kafka_config(c.config), c.clock);
  kafka::Cluster cluster(kafka_config(c.config), c.clock);
  auto info = cluster.metadata();
  auto cuts = cuts_of(point);
  std::vector<GroupCursors> out;
  for (const auto& name : group ? std::vector{*group} : admin.list_groups()) {
    auto described = admin.describe(name);
    if (group && described.state == kafka::GroupState::dead && !cuts.contains(name)) {
      throw Error(Code::not_found, "consumer group " + name, "does not exist",
                  "`lifeboat cursors show` lists all groups");
    }
    GroupCursors row{name, std::string(kafka::to_string(described.state)), {}, {}};
    for (const auto& m : described.members) row.members.push_back(kafka::to_string(m));
    std::map<kafka::TopicPartition, CursorRow> rows;
    for (const auto& [tp, offset] : admin.committed(name)) rows[tp].committed = offset;
    if (auto it = cuts.find(name); it != cuts.end()) {
      for (const auto& [tp, offset] : it->second) rows[tp].cut = offset;
    }
    std::vector<kafka::TopicPartition> living;
    for (const auto& [tp, cursor] : rows) {
      if (info.partition(tp)) living.push_back(tp);
    }
    for (const auto& [tp, ends] : cluster.offsets(living)) {
      rows[tp].log_start = ends.log_start;
      rows[tp].high_watermark = ends.high_watermark;
    }
    for (auto& [tp, cursor] : rows) {
      cursor.group = name;
      cursor.partition = tp;
      row.rows.push_back(std::move(cursor));
    }
    out.push_back(std::move(row));
  }
  return out;
}

CursorReset plan_reset(const Context& c, const vault::RecoveryPoint& point,
                       const std::string& group) {
  auto cuts = cuts_of(point);
  auto cut = cuts.find(group);
  if (cut == cuts.end()) {
    throw Error(Code::not_found, "point " + point.id, "has no cut of consumer group " + group,
                "`lifeboat points` lists the points; `lifeboat cursors show --point` their groups");
  }
  auto document = clickhouse_document_from_json(point.stores.at("clickhouse"));
  kafka::Cluster cluster(kafka_config(c.config), c.clock);
  auto info = cluster.metadata();
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& [tp, offset] : cut->second) {
    const auto* topic = info.topic(tp.topic);
    auto id = document.cut.topic_ids.find(tp.topic);
    if (!topic || id == document.cut.topic_ids.end() || topic->topic_id != id->second) {
      throw Error(Code::refused, "topic " + tp.topic,
                  "is not the one that the cut counts in: it was lost or made again since",
                  "choose a point that was taken after that");
    }
    partitions.push_back(tp);
  }
  std::vector<std::string> gone;
  auto offsets = cluster.offsets(partitions);
  for (const auto& [tp, offset] : cut->second) {
    const auto& ends = offsets.at(tp);
    if (offset < ends.log_start || offset > ends.high_watermark) {
      gone.push_back(fmt::format("{} {} (the log holds [{}, {}))", kafka::to_string(tp), offset,
                                 ends.log_start, ends.high_watermark));
    }
  }
  if (!gone.empty()) {
    throw Error(
        Code::refused, "consumer group " + group,
        fmt::format("Kafka no longer holds what follows the cut: {}", fmt::join(gone, ", ")),
        "choose a newer point");
  }
  return {group, cut->second};
}

void reset_cursors(const Context& c, const CursorReset& reset) {
  kafka::Admin admin(kafka_config(c.config), c.clock);
  refuse_members(admin.describe(reset.group), reset.group);
  admin.alter_offsets(reset.group, reset.offsets);
  auto read = admin.committed(reset.group);
  for (const auto& [tp, offset] : reset.offsets) {
    auto it = read.find(tp);
    if (it != read.end() && it->second == offset) continue;
    throw Error(Code::failed, "consumer group " + reset.group,
                fmt::format("{} was set to {}, but reads back as {}", kafka::to_string(tp), offset,
                            it == read.end() ? "nothing" : std::to_string(it->second.value)),
                "run it again; `lifeboat cursors show` says where the group stands");
  }
}

}  // namespace lifeboat::recovery
