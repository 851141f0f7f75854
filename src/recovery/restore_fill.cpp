#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "clickhouse/fill.hpp"
#include "recovery/fill.hpp"
#include "recovery/log_names.hpp"
#include "recovery/replay.hpp"
#include "recovery/restore_session.hpp"

// The steps that bring a range to ClickHouse which a living Kafka has deleted. The journal's member
// "fill" has, from the first step on: "configs" (topic -> its own configuration), "ranges" (what is
// filled), "fillers" (topic -> filler), "translations" (filler partition -> old to new offsets).
namespace lifeboat::recovery {
namespace {

const std::map<std::string, std::string> kKeepAll = {{"retention.ms", "-1"},
                                                     {"retention.bytes", "-1"}};
const std::map<std::string, std::string> kFillerTopic = {
    {"cleanup.policy", "delete"},
    {"retention.ms", "-1"},
    {"retention.bytes", "-1"},
    {"compression.type", "producer"},
    {"max.message.bytes", "2147483647"},
    {"message.timestamp.type", "CreateTime"},
    {"message.timestamp.before.max.ms", "9223372036854775807"},
    {"message.timestamp.after.max.ms", "9223372036854775807"}};

struct FilledRange {
  std::string group;
  kafka::LogId log;
  Offset from;
  Offset until;
};

nlohmann::json& state(RestoreSession& s) {
  return s.journal.data()["fill"];
}

std::vector<FilledRange> filled_ranges(RestoreSession& s) {
  std::vector<FilledRange> out;
  const auto& cut = s.clickhouse_document().cut;
  for (const auto& row : state(s).at("ranges")) {
    const std::string topic = row.at(1);
    out.push_back({row.at(0),
                   {cut.cluster_id, cut.topic_ids.at(topic), topic,
                    PartitionId(row.at(2).get<std::int32_t>())},
                   Offset(row.at(3).get<std::int64_t>()),
                   Offset(row.at(4).get<std::int64_t>())});
  }
  return out;
}

std::string filler_of(RestoreSession& s, const std::string& topic) {
  return state(s).at("fillers").at(topic).get<std::string>();
}

std::string fill_group(RestoreSession& s, const std::string& group) {
  return fmt::format("{}{}-{}", kFillPrefix, s.plan.id, group);
}

kafka::OffsetTranslation fill_translation(RestoreSession& s, const kafka::LogId& log) {
  const kafka::TopicPartition tp{filler_of(s, log.topic), log.partition};
  return kafka::OffsetTranslation::parse(
      state(s).at("translations").at(kafka::to_string(tp)).get<std::string>());
}

void hold_groups(RestoreSession& s) {
  const auto& schema = s.clickhouse_schema();
  for (const auto& [group, cut] : s.clickhouse_document().cut.cut) {
    s.hold(group, clickhouse::topics_of(schema, group));
  }
}

// Topics of which something is missing.
std::set<std::string> filled_topics(RestoreSession& s) {
  std::set<std::string> out;
  for (const auto& range : filled_ranges(s)) out.insert(range.log.topic);
  return out;
}

// The topic's configuration before any restore lifted its retention: one that was given up may
// have.
std::map<std::string, std::string> own_configs(RestoreSession& s, const std::string& topic) {
  for (const auto& plan : unfinished_plans(s.context.config)) {
    Journal journal(s.context.config, plan.id);
    const auto& data = journal.data();
    if (plan.id == s.plan.id || !data.contains("fill")) continue;
    const auto& configs = data["fill"].at("configs");
    if (configs.contains(topic)) return configs[topic].get<std::map<std::string, std::string>>();
  }
  return s.admin().topic_configs(topic);
}

// Retention deletes for as long as a deletion that was under way takes: until the starts rest.
void wait_for_rest(RestoreSession& s, const std::vector<kafka::TopicPartition>& partitions) {
  auto starts = [&] {
    std::map<kafka::TopicPartition, Offset> out;
    for (const auto& [tp, ends] : s.cluster().offsets(partitions)) out[tp] = ends.log_start;
    return out;
  };
  constexpr auto rest = std::chrono::seconds(5);
  auto seen = starts();
  auto since = s.context.clock.steady();
  s.wait_until("waiting until Kafka deletes no more", [&] {
    auto now = starts();
    if (now != seen) {
      seen = std::move(now);
      since = s.context.clock.steady();
    }
    return s.context.clock.steady() - since >= rest;
  });
}

// From where each partition of the topic is produced again: the lowest cut of all groups.
std::vector<ReplayedLog> logs_to_fill(RestoreSession& s) {
  std::map<kafka::LogId, ReplayedLog> logs;
  for (const auto& range : filled_ranges(s)) {
    auto [it, fresh] = logs.try_emplace(
        range.log, ReplayedLog{range.log,
                               range.from,
                               range.until,
                               {filler_of(s, range.log.topic), range.log.partition}});
    it->second.from = std::min(it->second.from, range.from);
    it->second.until = std::max(it->second.until, range.until);
  }
  std::vector<ReplayedLog> out;
  for (auto& [log, replayed] : logs) out.push_back(std::move(replayed));
  return out;
}

struct Consuming {
  clickhouse::Fill fill;
  std::string of_group;  // the Kafka table's own
};

// The Kafka tables that miss something, and what they consume instead.
std::vector<Consuming> consuming_tables(RestoreSession& s) {
  std::vector<Consuming> out;
  const auto ranges = filled_ranges(s);
  for (const auto& table : s.clickhouse_schema().kafka_tables) {
    Consuming one{{table.ref, fill_group(s, table.group), {}, {}}, table.group};
    for (const auto& range : ranges) {
      const bool reads = std::count(table.topics.begin(), table.topics.end(), range.log.topic) > 0;
      if (range.group != table.group || !reads) continue;
      const auto filler = filler_of(s, range.log.topic);
      if (std::count(one.fill.fillers.begin(), one.fill.fillers.end(), filler) == 0) {
        one.fill.fillers.push_back(filler);
      }
      const auto translation = fill_translation(s, range.log);
      for (const auto& r : translation.ranges()) {
        one.fill.ranges.push_back({filler, range.log.topic, range.log.partition, r.new_base,
                                   r.old_base.value - r.new_base.value});
      }
    }
    if (!one.fill.fillers.empty()) out.push_back(std::move(one));
  }
  return out;
}

// Where a group's consumption of the fillers begins and ends, all their partitions.
struct Ends {
  Offset from;
  Offset to;
};
std::map<kafka::TopicPartition, Ends> filler_ends(RestoreSession& s, const std::string& group) {
  std::map<kafka::TopicPartition, Ends> out;
  const auto info = s.cluster().metadata();
  for (const auto& range : filled_ranges(s)) {
    if (range.group != group) continue;
    const auto filler = filler_of(s, range.log.topic);
    const auto* topic = info.topic(filler);
    if (topic == nullptr) {
      throw Error(Code::conflict, "topic " + filler, "which this restore made is gone",
                  "empty ClickHouse, and make a new plan");
    }
    std::vector<kafka::TopicPartition> all;
    for (const auto& p : topic->partitions) all.push_back({filler, p.id});
    for (const auto& [tp, ends] : s.cluster().offsets(all)) {
      out.try_emplace(tp, Ends{ends.high_watermark, ends.high_watermark});
    }
    out[{filler, range.log.partition}].from = fill_translation(s, range.log).translate(range.from);
  }
  return out;
}

void begin_fill(RestoreSession& s, const Consuming& one) {
  if (!clickhouse::fill_stands(s.clickhouse(), one.fill.table)) {
    std::map<kafka::TopicPartition, Offset> from;
    for (const auto& [tp, ends] : filler_ends(s, one.of_group)) from[tp] = ends.from;
    // The tables of one group share its cursors: only the first one that is made sets them.
    if (s.admin().committed(one.fill.group).empty()) s.admin().alter_offsets(one.fill.group, from);
  }
  clickhouse::create_fill(s.clickhouse(), s.clickhouse_schema(), one.fill);
}

bool consumed(RestoreSession& s, const std::string& group) {
  const auto committed = s.admin().committed(fill_group(s, group));
  for (const auto& [tp, ends] : filler_ends(s, group)) {
    auto it = committed.find(tp);
    if (ends.from < ends.to && (it == committed.end() || it->second < ends.to)) return false;
  }
  return true;
}

// Each message once: what all tables of the group saw, by filler partition.
void compare_counts(RestoreSession& s, const std::vector<Consuming>& tables,
                    const std::string& group) {
  std::map<kafka::TopicPartition, std::uint64_t> seen;
  for (const auto& one : tables) {
    if (one.of_group != group) continue;
    for (const auto& count : clickhouse::count_fill(s.clickhouse(), one.fill.table)) {
      seen[{count.filler, count.partition}] += count.messages;
    }
  }
  for (const auto& range : filled_ranges(s)) {
    if (range.group != group) continue;
    const kafka::TopicPartition tp{filler_of(s, range.log.topic), range.log.partition};
    const auto ends = filler_ends(s, group).at(tp);
    const auto expected = static_cast<std::uint64_t>(ends.to - ends.from);
    if (seen[tp] != expected) {
      throw Error(Code::failed, kafka::to_string(range.log.topic_partition()),
                  fmt::format("of [{}, {}) {} messages were produced again, ClickHouse took {} of "
                              "them into its views",
                              range.from, range.until, expected, seen[tp]),
                  "see ClickHouse's log (messages that its format refuses; a crash while it "
                  "consumed); then empty it and make a new plan");
    }
    s.notes.push_back(fmt::format("{} [{}, {}) came from the logbook: {} messages",
                                  kafka::to_string(range.log.topic_partition()), range.from,
                                  range.until, expected));
    s.context.reporter.note(s.notes.back());
  }
}

std::set<std::string> groups_of(const std::vector<Consuming>& tables) {
  std::set<std::string> out;
  for (const auto& one : tables) out.insert(one.of_group);
  return out;
}

}  // namespace

void fill_retention(RestoreSession& s) {
  hold_groups(s);
  auto& fill = state(s);
  const auto missing = missing_ranges(s.context, s.logbook(), s.clickhouse_document().cut);
  std::set<std::string> topics;
  for (const auto& range : missing) topics.insert(range.log.topic);
  if (!fill.is_object()) fill = {{"configs", nlohmann::json::object()}};
  for (const auto& topic : topics) {
    if (!fill["configs"].contains(topic)) fill["configs"][topic] = own_configs(s, topic);
  }
  s.journal.save();
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& range : missing) partitions.push_back(range.log.topic_partition());
  for (const auto& topic : topics) {
    auto configs = fill["configs"][topic].get<std::map<std::string, std::string>>();
    for (const auto& [key, value] : kKeepAll) configs[key] = value;
    s.admin().set_topic_configs(topic, configs);
  }
  wait_for_rest(s, partitions);
  fill["ranges"] = nlohmann::json::array();
  fill["fillers"] = nlohmann::json::object();
  for (const auto& range : missing_ranges(s.context, s.logbook(), s.clickhouse_document().cut)) {
    if (!range.lost.empty() && !s.plan.accept_loss) {
      throw Error(Code::refused, to_string(range),
                  "retention went on, and the logbook does not hold all of it",
                  "wait until `lifeboat status` shows it archived, or make a new plan with "
                  "--accept-loss");
    }
    fill["ranges"].push_back({range.group, range.log.topic, range.log.partition.value,
                              range.from.value, range.until.value});
    fill["fillers"].emplace(range.log.topic,
                            fmt::format("{}{}-{}", kFillPrefix, s.plan.id, fill["fillers"].size()));
  }
  s.journal.save();
}

void fill_topics(RestoreSession& s) {
  hold_groups(s);
  const auto info = s.cluster().metadata();
  for (const auto& topic : filled_topics(s)) {
    const auto* original = info.topic(topic);
    if (original == nullptr) {
      throw Error(Code::conflict, "topic " + topic, "is gone", "make a new plan");
    }
    if (info.topic(filler_of(s, topic)) != nullptr) continue;  // made by an interrupted run
    s.admin().create_topic(filler_of(s, topic), static_cast<int>(original->partitions.size()),
                           static_cast<int>(original->partitions.front().replicas.size()),
                           kFillerTopic);
  }
  auto options = replay_options(s);
  std::uint64_t bytes = 0;
  options.progress = [&](std::uint64_t n) {
    s.context.reporter.progress("batches", bytes += n, 0, "bytes");
  };
  nlohmann::json translations = nlohmann::json::object();
  for (const auto& [tp, translation] : replay(s.context, s.logbook(), logs_to_fill(s), options)) {
    translations[kafka::to_string(tp)] = translation.serialise();
  }
  state(s)["translations"] = std::move(translations);
  s.journal.save();
}

void fill_consume(RestoreSession& s) {
  hold_groups(s);
  const auto tables = consuming_tables(s);
  for (const auto& one : tables) begin_fill(s, one);
  for (const auto& group : groups_of(tables)) {
    s.wait_until("ClickHouse consumes what came from the logbook for group " + group,
                 [&] { return consumed(s, group); });
  }
}

void fill_check(RestoreSession& s) {
  hold_groups(s);
  const auto tables = consuming_tables(s);
  if (!state(s).contains("counted")) {
    for (const auto& group : groups_of(tables)) compare_counts(s, tables, group);
    state(s)["counted"] = true;
    s.journal.save();
  }
  for (const auto& one : tables) {
    clickhouse::drop_fill(s.clickhouse(), s.clickhouse_schema(), one.fill.table);
  }
}

void fill_clean(RestoreSession& s) {
  for (const auto& [topic, configs] : state(s).at("configs").items()) {
    s.admin().set_topic_configs(topic, configs.get<std::map<std::string, std::string>>());
  }
  for (const auto& [topic, filler] : state(s).at("fillers").items()) {
    s.admin().delete_topic(filler.get<std::string>());
  }
  std::set<std::string> groups;
  for (const auto& range : filled_ranges(s)) groups.insert(fill_group(s, range.group));
  for (const auto& group : groups) {
    for (const auto& member : s.admin().describe(group).members) {
      s.admin().evict(group, member.member_id);
    }
    s.admin().delete_group(group);
  }
}

// What was filled reaches to the end of its last batch, which may lie past the log's start.
Offset after_fill(RestoreSession& s, const std::string& group, const kafka::TopicPartition& tp,
                  Offset cut) {
  if (!s.journal.data().contains("fill")) return cut;
  for (const auto& range : filled_ranges(s)) {
    if (range.group != group || range.log.topic_partition() != tp) continue;
    return std::max(range.until, fill_translation(s, range.log).old_end().value_or(range.until));
  }
  return cut;
}

}  // namespace lifeboat::recovery
