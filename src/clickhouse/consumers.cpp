#include <algorithm>

#include "clickhouse/consumption.hpp"
#include "clickhouse/restore.hpp"

namespace lifeboat::clickhouse {
namespace {

using nlohmann::json;

// A position that librdkafka does not know (RD_KAFKA_OFFSET_INVALID, -1001) and its other logical
// offsets are below 0.
std::optional<Offset> known_offset(std::int64_t value) {
  return value < 0 ? std::nullopt : std::optional(Offset(value));
}

std::string lagging(const Cursors& target, const std::map<TopicPartition, Offset>& now) {
  std::string text;
  for (const auto& [partition, offset] : target) {
    const auto at = now.find(partition);
    if (at != now.end() && at->second >= offset) continue;
    if (!text.empty()) text += ", ";
    if (text.size() > 300) return text + "...";
    text += fmt::format("{}/{} {} of {}", partition.topic, partition.partition,
                        at == now.end() ? std::string("nothing") : fmt::format("{}", at->second),
                        offset);
  }
  return text;
}

Error late(const std::string& what, const ConsumerActivity& activity) {
  std::string message = what;
  if (!activity.last_exception.empty()) message += "; last exception: " + activity.last_exception;
  return Error(Code::timeout, "ClickHouse's Kafka tables", message,
               "see system.kafka_consumers, and who else is in the group");
}

}  // namespace

std::string in_tables(const std::vector<TableRef>& tables) {
  std::string pairs;
  for (const auto& table : tables) {
    pairs += (pairs.empty() ? "(" : ", (") + quote_literal(table.database) + ", " +
             quote_literal(table.name) + ")";
  }
  return "(database, table) IN (" + pairs + ")";
}

std::string names_of(const std::vector<TableRef>& tables) {
  std::string all;
  for (const auto& table : tables) all += (all.empty() ? "" : ", ") + to_string(table);
  return all;
}

Consumption consumption(Client& client, const std::vector<TableRef>& tables) {
  auto row = client.row(fmt::format(
      "SELECT arrayStringConcat(arrayDistinct(arrayConcat(groupArrayIf(concat(database, '.', "
      "table), "
      "is_currently_used), (SELECT groupArray(concat(database, '.', table)) "
      "FROM system.background_schedule_pool WHERE executing AND log_name LIKE 'StorageKafka%' "
      "AND {0}))), ', ') AS busy, toString(arraySort(groupArray((database, table, consumer_id, "
      "num_messages_read, num_commits)))) AS state FROM system.kafka_consumers WHERE {0}",
      in_tables(tables)));
  return {row.value("busy", ""), row.value("state", "")};
}

std::vector<ConsumerPosition> consumer_positions(Client& client,
                                                 const std::vector<TableRef>& tables) {
  std::vector<ConsumerPosition> positions;
  if (tables.empty()) return positions;
  const auto rows = client.rows(
      "SELECT database, table, topic, partition, offset FROM system.kafka_consumers ARRAY JOIN "
      "assignments.topic AS topic, assignments.partition_id AS partition, "
      "assignments.current_offset AS offset WHERE " +
      in_tables(tables) + " ORDER BY ALL");
  try {
    for (const auto& row : rows) {
      positions.push_back(
          {{row.at("database").get<std::string>(), row.at("table").get<std::string>()},
           {row.at("topic").get<std::string>(),
            PartitionId(row.at("partition").get<std::int32_t>())},
           known_offset(row.at("offset").get<std::int64_t>())});
    }
  } catch (const json::exception& error) {
    throw Error(Code::corrupt, "system.kafka_consumers", error.what());
  }
  return positions;
}

std::vector<ConsumerMember> consumer_members(Client& client, const std::vector<TableRef>& tables) {
  std::vector<ConsumerMember> members;
  if (tables.empty()) return members;
  for (const auto& row :
       client.rows("SELECT database, table, consumer_id FROM system.kafka_consumers WHERE " +
                   in_tables(tables))) {
    members.push_back(
        {{row.value("database", ""), row.value("table", "")}, row.value("consumer_id", "")});
  }
  return members;
}

ConsumerActivity consumer_activity(Client& client, const std::vector<TableRef>& tables) {
  if (tables.empty()) return {};
  const auto row = client.row(
      "SELECT sum(num_messages_read) AS messages, sum(num_commits) AS commits, "
      "sum(length(assignments.topic)) AS partitions, max(is_currently_used) AS working, "
      "argMax(exceptions.text[-1], exceptions.time[-1]) AS last "
      "FROM system.kafka_consumers WHERE " +
      in_tables(tables));
  try {
    ConsumerActivity activity;
    activity.messages_read = row.at("messages").get<std::uint64_t>();
    activity.commits = row.at("commits").get<std::uint64_t>();
    activity.assigned_partitions = row.at("partitions").get<std::uint64_t>();
    activity.working = row.at("working").get<int>() != 0;
    const auto last = row.at("last").get<std::string>();
    activity.last_exception = without_secrets(last.substr(0, last.find('\n')));
    return activity;
  } catch (const json::exception& error) {
    throw Error(Code::corrupt, "system.kafka_consumers", error.what());
  }
}

void wait_consuming(Client& client, const std::vector<TableRef>& tables, const Cursors& target,
                    const Deadline& deadline, const Cancel& cancel) {
  for (;;) {
    std::map<TopicPartition, Offset> now;
    for (const auto& position : consumer_positions(client, tables)) {
      if (!position.current) continue;
      auto& best = now[position.partition];
      best = std::max(best, *position.current);
    }
    const auto behind = lagging(target, now);
    if (behind.empty()) return;
    if (deadline.passed()) {
      throw late("does not go on: " + behind, consumer_activity(client, tables));
    }
    if (!cancel.sleep_for(Millis(100))) cancel.check();
  }
}

void wait_assigned(Client& client, const std::vector<TableRef>& tables, std::uint64_t partitions,
                   const Deadline& deadline, const Cancel& cancel) {
  for (;;) {
    const auto activity = consumer_activity(client, tables);
    if (activity.assigned_partitions >= partitions) return;
    if (deadline.passed()) {
      throw late(
          fmt::format("{} of {} partitions are assigned", activity.assigned_partitions, partitions),
          activity);
    }
    if (!cancel.sleep_for(Millis(100))) cancel.check();
  }
}

}  // namespace lifeboat::clickhouse
