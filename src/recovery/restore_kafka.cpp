#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <regex>
#include <utility>

#include "base/error.hpp"
#include "clickhouse/freeze.hpp"
#include "clickhouse/hold.hpp"
#include "clickhouse/restore.hpp"
#include "recovery/living_positions.hpp"
#include "recovery/log_names.hpp"
#include "recovery/replay.hpp"
#include "recovery/restore_lock.hpp"
#include "recovery/restore_session.hpp"

namespace lifeboat::recovery {
namespace {

constexpr auto kBrokersComeUp = std::chrono::seconds(60);

// Nothing may delete, refuse or re-stamp what comes back; kafka_configs() puts the real ones back.
const std::map<std::string, std::string> kWhileRestoring = {
    {"cleanup.policy", "delete"},
    {"retention.ms", "-1"},
    {"retention.bytes", "-1"},
    {"compression.type", "producer"},
    {"max.message.bytes", "2147483647"},
    {"message.timestamp.type", "CreateTime"},
    {"message.timestamp.before.max.ms", "9223372036854775807"},
    {"message.timestamp.after.max.ms", "9223372036854775807"}};

// How long a consumer may collect a block before it writes it: the largest of the tables' settings.
Millis longest_flush(const clickhouse::SchemaGraph& graph) {
  static const std::regex setting(R"(kafka_flush_interval_ms\s*=\s*'?(\d{1,9}))");
  constexpr Millis server_default(7500);  // stream_flush_interval_ms
  Millis longest(0);
  for (const auto& table : graph.tables) {
    if (table.kind != clickhouse::Kind::kafka) continue;
    std::smatch found;
    bool set = std::regex_search(table.create_query, found, setting);
    longest = std::max(longest, set ? Millis(std::stoll(found[1])) : server_default);
  }
  return longest;
}

nlohmann::json to_json(const clickhouse::FrozenPositions& frozen) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& p : frozen.positions) {
    nlohmann::json row = {p.table.database, p.table.name, p.partition.topic,
                          p.partition.partition.value};
    if (p.current) row.push_back(p.current->value);
    rows.push_back(std::move(row));
  }
  return {{"rows", rows}, {"messages_read", frozen.messages_read}, {"idle", frozen.idle}};
}

clickhouse::FrozenPositions frozen_from_json(const nlohmann::json& json) {
  clickhouse::FrozenPositions out;
  json.at("messages_read").get_to(out.messages_read);
  json.at("idle").get_to(out.idle);
  for (const auto& row : json.at("rows")) {
    clickhouse::ConsumerPosition p;
    p.table = {row.at(0), row.at(1)};
    p.partition = {row.at(2), PartitionId(row.at(3).get<std::int32_t>())};
    if (row.size() > 4) p.current = Offset(row.at(4).get<std::int64_t>());
    out.positions.push_back(std::move(p));
  }
  return out;
}

// A hold that was killed leaves the tables paused, and ClickHouse closes paused consumers after a
// minute: what they had read since the last sample is known to nobody then.
GroupOffsets positions_of(RestoreSession& s, const clickhouse::SchemaGraph& graph,
                          const clickhouse::FrozenPositions& frozen, bool held_before) {
  auto living = living_positions(graph, frozen,
                                 last_group_sample(s.logbook(), s.kafka_document().cluster_id));
  if (living.only_sampled.empty()) return std::move(living.offsets);
  const auto which = fmt::format("{}", fmt::join(living.only_sampled, ", "));
  if (held_before) {
    clickhouse::repair(s.clickhouse(), clickhouse::kafka_table_refs(graph));
    throw Error(Code::could_not_verify, which,
                "ClickHouse's consumers were closed while an interrupted restore held them: where "
                "they had read to is not known",
                "restore ClickHouse and Kafka together from a recovery point");
  }
  s.notes.push_back(fmt::format(
      "no consumer of ClickHouse's has {}: their cursors are those of the last sample", which));
  return std::move(living.offsets);
}

// A broker that has just started may not have told of it before.
void delete_empty(RestoreSession& s, const kafka::TopicInfo& topic) {
  const auto target = fmt::format("{}", fmt::join(s.context.config.kafka->bootstrap, ","));
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& p : topic.partitions) {
    if (p.leader.value >= 0) partitions.push_back({topic.name, p.id});
  }
  for (const auto& [tp, ends] : s.cluster().offsets(partitions)) {
    if (ends.high_watermark.value == 0 || s.may_overwrite(target)) continue;
    throw Error(Code::refused, "topic " + topic.name, "holds records; it was left untouched",
                fmt::format("empty Kafka, or make a new plan with --overwrite '{}'", target));
  }
  s.admin().delete_topic(topic.name);
}

int replication_for(RestoreSession& s, const SavedTopic& topic, std::size_t brokers) {
  const int replication = std::min<int>(topic.replication, static_cast<int>(brokers));
  if (replication < topic.replication) {
    s.notes.push_back(fmt::format("topic {} had {} replicas and gets {}: so many brokers are up",
                                  topic.name, topic.replication, replication));
    s.context.reporter.note(s.notes.back());
  }
  return replication;
}

// False: it exists, though the brokers did not tell of it when they were asked.
bool try_create(RestoreSession& s, const SavedTopic& topic, int replication) {
  auto& kept = s.journal.data()["kafka_topics"];
  // The mark comes first: a topic that exists unmarked is somebody else's.
  kept[topic.name] = true;
  s.journal.save();
  try {
    s.admin().create_topic(topic.name, topic.partitions, replication, kWhileRestoring);
    return true;
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
  }
  kept.erase(topic.name);
  s.journal.save();
  return false;
}

void create_topic(RestoreSession& s, const ChosenTopic& chosen) {
  const auto& name = chosen.topic.name;
  s.wait_until("making topic " + name, [&] {
    const auto existing = s.cluster().metadata();
    const auto* found = existing.topic(name);
    if (found && s.journal.data()["kafka_topics"].contains(name)) return true;  // by an earlier run
    if (found) delete_empty(s, *found);
    return try_create(s, chosen.topic, replication_for(s, chosen.topic, existing.brokers.size()));
  });
}

std::vector<std::string> topic_names(RestoreSession& s) {
  std::vector<std::string> out;
  for (const auto& chosen : s.chosen_topics()) out.push_back(chosen.topic.name);
  return out;
}

// The groups whose cursors are translated: those of the last sample, of the point, and a living
// ClickHouse's. A ClickHouse that is restored too gets its cursors from the cut, by its own steps.
GroupOffsets groups_to_set(RestoreSession& s) {
  GroupOffsets out = s.kafka_document().groups;
  if (auto sample = last_group_sample(s.logbook(), s.kafka_document().cluster_id)) {
    for (auto& [group, offsets] : *sample) out[group] = std::move(offsets);
  }
  const auto& data = s.journal.data();
  if (data.contains("clickhouse_living")) {
    for (auto& [group, offsets] :
         group_offsets_from_json(data["clickhouse_living"].at("positions"))) {
      out[group] = std::move(offsets);
    }
  }
  if (s.restores(Store::clickhouse)) {
    for (const auto& [group, cut] : s.clickhouse_document().cut.cut) out.erase(group);
  }
  return out;
}

void hold_groups(RestoreSession& s) {
  auto topics = topic_names(s);
  if (topics.empty()) return;
  for (const auto& [group, offsets] : groups_to_set(s)) s.hold(group, topics);
}

}  // namespace

// A run that goes on with an interrupted one's work goes on as the same producer, so that what the
// first one still had on its way is not taken twice.
ReplayOptions replay_options(RestoreSession& s) {
  const auto cluster_id = s.cluster().metadata().cluster_id;
  ReplayOptions options;
  const auto& kept = s.journal.data()["kafka_producer"];
  if (kept.is_object() && kept.at("cluster") == cluster_id) {
    options.identity = {kept.at("id").get<std::int64_t>(), kept.at("epoch").get<std::int16_t>()};
  }
  options.keep_identity = [&s, cluster_id](kafka::Cluster::ProducerIdentity producer) {
    s.journal.data()["kafka_producer"] = {
        {"cluster", cluster_id}, {"id", producer.id}, {"epoch", producer.epoch}};
    s.journal.save();
  };
  return options;
}

// Before the new Kafka starts: a broker at the old address would take the positions away.
void kafka_hold_clickhouse(RestoreSession& s) {
  auto& data = s.journal.data();
  if (data.contains("clickhouse_living")) return;
  auto graph = clickhouse::read_schema(s.clickhouse(), s.context.config.clickhouse->databases);
  auto tables = clickhouse::kafka_table_refs(graph);
  const auto alone = HoldLock::take(s.context);
  const bool held_before = std::exchange(data["clickhouse_held"], true) == true;
  s.journal.save();
  auto frozen =
      clickhouse::freeze_positions(s.clickhouse(), tables, longest_flush(graph) + Millis(2000),
                                   Deadline::after(s.wait_limit), s.context.cancel);
  nlohmann::json kept = {{"tables", nlohmann::json::array()},
                         {"frozen", to_json(frozen)},
                         {"positions", to_json(positions_of(s, graph, frozen, held_before))}};
  for (const auto& t : tables) kept["tables"].push_back({t.database, t.name});
  data["clickhouse_living"] = std::move(kept);
  s.journal.save();
}

void kafka_detach_clickhouse(RestoreSession& s) {
  const auto& living = s.journal.data()["clickhouse_living"];
  auto tables = journaled_tables(living);
  if (!living.contains("confirmed")) {
    clickhouse::confirm_frozen(s.clickhouse(), tables, frozen_from_json(living.at("frozen")),
                               Deadline::after(s.wait_limit), s.context.cancel);
    s.journal.data()["clickhouse_living"]["confirmed"] = true;
    s.journal.save();
  }
  clickhouse::detach_kafka_tables(s.clickhouse(), tables);
}

// Brokers come up one after the other, and a topic keeps the replicas that it is made with: waits
// for as many as topics had replicas, unless no more come for a while.
void wait_for_brokers(RestoreSession& s) {
  std::size_t wanted = 1;
  for (const auto& chosen : s.chosen_topics()) {
    wanted = std::max(wanted, static_cast<std::size_t>(chosen.topic.replication));
  }
  std::size_t seen = 0;
  auto since = s.context.clock.steady();
  s.wait_until(fmt::format("waiting for {} brokers: topics had so many replicas", wanted), [&] {
    return answers([&] {
      const auto up = s.cluster().metadata().brokers.size();
      if (up != std::exchange(seen, up)) since = s.context.clock.steady();
      return up >= wanted || (up > 0 && s.context.clock.steady() - since > kBrokersComeUp);
    });
  });
}

void kafka_wait(RestoreSession& s) {
  auto document = s.kafka_document();
  s.wait_until(fmt::format("start an empty Kafka now at {}, without producers",
                           fmt::join(s.context.config.kafka->bootstrap, ",")),
               [&] { return answers([&] { return !s.cluster().metadata().brokers.empty(); }); });
  wait_for_brokers(s);
  if (s.journal.data().contains("kafka_topics")) return;  // an interrupted run went on from here
  auto target = kafka_target(s.context, document);
  if (!target.found.empty() && !s.may_overwrite(target.name)) {
    throw Error(Code::refused, "kafka " + target.name, "is not empty: " + target.found,
                fmt::format("empty it, or make a new plan with --overwrite '{}'", target.name));
  }
}

void kafka_topics(RestoreSession& s) {
  if (!s.journal.data().contains("kafka_topics")) {
    s.journal.data()["kafka_topics"] = nlohmann::json::object();
    s.journal.save();
  }
  for (const auto& chosen : s.chosen_topics()) {
    s.context.cancel.check();
    create_topic(s, chosen);
  }
  // The brokers will be stopped for a seed, and nobody can be held meanwhile.
  if (s.plan.kafka == KafkaWay::produce) hold_groups(s);
}

void kafka_batches(RestoreSession& s) {
  hold_groups(s);
  std::uint64_t total = 0;
  std::uint64_t handled = 0;
  std::vector<ReplayedLog> logs;
  for (const auto& chosen : s.chosen_topics()) {
    for (const auto& summary : chosen.summaries) {
      auto log = *parse_kafka_log(summary.log);
      logs.push_back(
          {log, Offset(summary.first.value), Offset(summary.next.value), log.topic_partition()});
      total += summary.bytes.value;
    }
  }
  ReplayOptions options = replay_options(s);
  options.progress = [&](std::uint64_t bytes) {
    handled += bytes;
    s.context.reporter.progress("batches", handled, total, "bytes");
  };
  for (const auto& [partition, translation] : replay(s.context, s.logbook(), logs, options)) {
    s.keep_translation(partition, translation);
  }
  s.journal.save();
}

void kafka_cursors(RestoreSession& s) {
  auto topics = topic_names(s);
  for (const auto& [group, offsets] : groups_to_set(s)) {
    std::map<kafka::TopicPartition, Offset> translated;
    for (const auto& [tp, offset] : offsets) {
      bool restored = std::find(topics.begin(), topics.end(), tp.topic) != topics.end();
      if (restored) translated[tp] = s.translation(tp)->translate(offset);
    }
    if (translated.empty()) continue;
    s.commit(s.hold(group, topics), group, translated);
    s.let_go(group);
  }
}

void kafka_configs(RestoreSession& s) {
  for (const auto& chosen : s.chosen_topics()) {
    s.admin().set_topic_configs(chosen.topic.name, chosen.topic.configs);
  }
}

void kafka_release_clickhouse(RestoreSession& s) {
  const auto& living = s.journal.data()["clickhouse_living"];
  for (const auto& [group, offsets] : group_offsets_from_json(living.at("positions"))) {
    s.let_go(group);
  }
  clickhouse::attach_kafka_tables(s.clickhouse(), journaled_tables(living));
  clickhouse::repair(s.clickhouse(), journaled_tables(living));  // they may still be paused
  for (const auto& [group, offsets] : group_offsets_from_json(living.at("positions"))) {
    std::map<kafka::TopicPartition, Offset> from;
    for (const auto& [tp, offset] : offsets) from[tp] = s.translation(tp)->translate(offset);
    s.wait_consuming(group, from);
  }
}

}  // namespace lifeboat::recovery
