#include "recovery/targets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.hpp"
#include "clickhouse/restore.hpp"
#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "postgres/restore.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/fill.hpp"
#include "recovery/history.hpp"
#include "recovery/log_names.hpp"
#include "vault/prune_word.hpp"
#include "zookeeper/kafka_nodes.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::recovery {
namespace {

// What `look` says, or nothing when the server is down: then a step will wait for it.
template <typename F>
std::string unless_down(F&& look) {
  std::string found;
  answers([&] {
    found = look();
    return true;
  });
  return found;
}

clickhouse::SchemaGraph saved_schema(const vault::Vault& vault,
                                     const ClickHouseDocument& document) {
  auto text = vault::SnapshotReader(vault, document.snapshot).read_small("schema.json");
  if (!text) throw Error(Code::corrupt, "ClickHouse's snapshot", "lacks schema.json");
  return clickhouse::schema_from_json(nlohmann::json::parse(*text));
}

// Somebody who commits is alive: taking them out of the group would only make them come back.
void refuse_consumers(const Context& c, kafka::Admin& admin, const std::string& group) {
  auto members = admin.describe(group).members;
  if (members.empty()) return;
  auto before = admin.committed(group);
  c.cancel.sleep_for(Millis(1500));
  c.cancel.check();
  if (admin.committed(group) == before) return;
  std::vector<std::string> names;
  for (const auto& m : members) names.push_back(kafka::to_string(m));
  throw Error(
      Code::refused, "consumer group " + group,
      fmt::format("somebody consumes in it: {}. Nothing was touched", fmt::join(names, ", ")),
      "stop these consumers, then make the plan again: only one cluster may consume");
}

// True: something is to come from the logbook.
bool foresee_fill(const Context& c, const vault::Logbook& logbook, const ClickHouseCut& cut,
                  bool accept_loss, std::vector<std::string>& warnings) {
  const auto missing = missing_ranges(c, logbook, cut);
  std::vector<std::string> lost;
  for (const auto& range : missing) {
    warnings.push_back(
        fmt::format("Kafka has deleted {}: it comes from the logbook, meanwhile the "
                    "topic's retention is lifted",
                    to_string(range)));
    for (const auto& hole : range.lost) {
      lost.push_back(fmt::format("{} [{}, {})", kafka::to_string(range.log.topic_partition()),
                                 hole.from, hole.to));
    }
  }
  if (!lost.empty() && !accept_loss) {
    throw Error(
        Code::refused, "Kafka",
        fmt::format("retention took events that neither the point nor the logbook holds: {}",
                    fmt::join(lost, ", ")),
        "choose a newer point (`lifeboat points`), or give these up by --accept-loss");
  }
  for (const auto& range : lost) warnings.push_back("LOST, held nowhere: " + range);
  return !missing.empty();
}

void foresee_cut(const Context& c, const ClickHouseDocument& document,
                 std::vector<std::string>& warnings) {
  if (document.cut.cut.empty()) return;
  kafka::Cluster cluster(kafka_config(c.config), c.clock);
  kafka::Admin admin(kafka_config(c.config), c.clock);
  auto info = cluster.metadata();
  for (const auto& [group, cut] : document.cut.cut) {
    refuse_consumers(c, admin, group);
    for (const auto& [tp, offset] : cut) {
      const auto* topic = info.topic(tp.topic);
      auto id = document.cut.topic_ids.find(tp.topic);
      if (!topic || id == document.cut.topic_ids.end() || topic->topic_id != id->second) {
        throw Error(
            Code::refused, "topic " + tp.topic,
            "is not the one that the point's cut counts in: it was lost or made again since",
            "restore kafka together with clickhouse, or choose a newer point");
      }
    }
  }
  if (!document.cut.exact) {
    warnings.push_back(
        "the point's cut is bounded, not exact: events between its bounds may be "
        "counted twice");
  }
}

// True: of the WAL that follows the point's own something was pruned.
bool wal_is_pruned(const vault::RecoveryPoint& point, const vault::PrunedLogs& decided,
                   const vault::Logbook& logbook) {
  vault::RecoveryPoint postgres;
  postgres.stores["postgres"] = point.stores.at("postgres");
  const auto starts = vault::logs_of(postgres);
  return std::any_of(starts.begin(), starts.end(), [&](const auto& start) {
    const vault::Ranges later{{start.until.value_or(start.position), vault::kLastPosition}};
    const auto* left = decided.left_of(start.log);
    return !vault::subtract(later, logbook.left(start.log)).empty() ||
           (left != nullptr && !vault::subtract(later, *left).empty());
  });
}

void refuse_later_time(const vault::RecoveryPoint& point, const Plan& plan) {
  if (!plan.to) return;
  throw Error(Code::refused, "point " + point.id,
              "PostgreSQL can be brought back to this point itself, and not to a later time: it "
              "lies before the window that `retention: {keep_logbook: …}` keeps of the logbook",
              "leave --to away, or choose a later point (`lifeboat points`)");
}

// Where topics begin of which the logbook does not hold all any more.
void foresee_pruned(const ChosenTopic& chosen, const vault::PrunedLogs& decided,
                    const vault::PrunedLogs& pruned, std::vector<std::string>& told) {
  std::map<PartitionId, std::string> begins;
  for (const auto* gone : {&decided, &pruned}) {
    for (const auto& [name, _] : gone->logs()) {
      const auto log = parse_kafka_log(name);
      if (log && log->topic == chosen.topic.name && log->topic_id == chosen.topic.topic_id)
        begins[log->partition] = fmt::format("{} not at all", log->partition);
    }
  }
  for (const auto& summary : chosen.summaries) {
    const auto partition = parse_kafka_log(summary.log)->partition;
    const auto* left = decided.left_of(summary.log);
    begins.erase(partition);
    if (!summary.pruned && left == nullptr) continue;
    vault::Ranges there{{summary.first, summary.next}};
    if (left != nullptr) there = vault::intersect(there, *left);
    begins[partition] = there.empty()
                            ? fmt::format("{} not at all", partition)
                            : fmt::format("{} from offset {} on", partition, there.front().from);
  }
  if (begins.empty()) return;
  std::vector<std::string> parts;
  for (auto& [_, part] : begins) parts.push_back(std::move(part));
  told.push_back(
      fmt::format("topic {}: what lay before the logbook's window was pruned; "
                  "partition {}",
                  chosen.topic.name, fmt::join(parts, ", ")));
}

void foresee_kafka(const vault::Vault& vault, const vault::RecoveryPoint& point,
                   const vault::Logbook& logbook, std::vector<std::string>& warnings) {
  for (const auto& damaged : logbook.damaged()) {
    warnings.push_back(fmt::format("the logbook is damaged: {}", damaged.error.what()));
  }
  for (const auto& chosen : choose_logs(logbook, read_kafka_document(vault, point))) {
    if (!chosen.in_document) {
      warnings.push_back(fmt::format(
          "topic {} was made after the point: its configuration is not known, defaults are used",
          chosen.topic.name));
    }
    for (const auto& log : chosen.logs) {
      for (const auto& hole : logbook.coverage(log_name(log)).holes) {
        if (hole.pruned) continue;
        warnings.push_back(fmt::format("{} lacks [{}, {}): {}", kafka::to_string(log),
                                       hole.range.from, hole.range.to, hole.why));
      }
    }
  }
}

}  // namespace

Target postgres_target(const Context& c) {
  const auto& directory = c.config.postgres->data_directory;
  Target target{Store::postgres, directory.string(), {}};
  switch (postgres::directory_state(directory)) {
    case postgres::DirectoryState::occupied:
      target.found = "files, maybe a cluster";
      break;
    case postgres::DirectoryState::running:
      throw Error(Code::refused, directory.string(), "a PostgreSQL server runs on it",
                  "stop it first; nothing was touched");
    default:
      break;
  }
  return target;
}

Target zookeeper_target(const Context& c) {
  Target target{Store::zookeeper, c.config.zookeeper->connect, {}};
  auto skeleton = [](std::string_view path) { return zookeeper::kafka_skeleton(path); };
  auto state = zookeeper::target_state(zookeeper_config(c.config), c.cancel, skeleton);
  if (state.reachable && !state.empty && !state.unfinished_run) {
    target.found = fmt::format("znodes such as {}", fmt::join(state.found, ", "));
  }
  return target;
}

Target kafka_target(const Context& c, const KafkaDocument& document) {
  Target target{Store::kafka, fmt::format("{}", fmt::join(c.config.kafka->bootstrap, ",")), {}};
  target.found = unless_down([&]() -> std::string {
    kafka::Cluster cluster(kafka_config(c.config), c.clock);
    auto info = cluster.metadata();
    std::vector<std::string> full;
    for (const auto& topic : info.topics) {
      if (topic.internal || !document.topic(topic.name)) continue;
      std::vector<kafka::TopicPartition> partitions;
      bool led = true;
      for (const auto& p : topic.partitions) {
        partitions.push_back({topic.name, p.id});
        led = led && p.leader.value >= 0;
      }
      if (!led) continue;
      for (const auto& [tp, offsets] : cluster.offsets(partitions)) {
        if (offsets.high_watermark.value > 0) {
          full.push_back(topic.name);
          break;
        }
      }
    }
    return full.empty() ? "" : fmt::format("topics that hold records: {}", fmt::join(full, ", "));
  });
  return target;
}

Target clickhouse_target(const Context& c, const std::vector<std::string>& databases) {
  Target target{Store::clickhouse, c.config.clickhouse->url, {}};
  target.found = unless_down([&]() -> std::string {
    clickhouse::Client client(clickhouse_config(c.config));
    auto tables = clickhouse::existing_tables(client, databases);
    if (tables.empty()) return {};
    return fmt::format("{} tables such as {}", tables.size(),
                       clickhouse::to_string(tables.front()));
  });
  return target;
}

std::vector<Target> look_at_targets(const Context& c, const vault::Vault& vault,
                                    const vault::RecoveryPoint& point,
                                    const std::set<Store>& stores) {
  std::vector<Target> out;
  for (Store store : stores) {
    switch (store) {
      case Store::postgres:
        out.push_back(postgres_target(c));
        break;
      case Store::zookeeper:
        out.push_back(zookeeper_target(c));
        break;
      case Store::kafka:
        out.push_back(kafka_target(c, read_kafka_document(vault, point)));
        break;
      case Store::clickhouse: {
        auto document = clickhouse_document_from_json(point.stores.at("clickhouse"));
        out.push_back(clickhouse_target(c, saved_schema(vault, document).databases));
        break;
      }
    }
  }
  return out;
}

Foreseen foresee(const Context& c, const vault::Vault& vault, const vault::RecoveryPoint& point,
                 const Plan& plan) {
  Foreseen out;
  auto& warnings = out.warnings;
  if (follows_logs(plan)) {
    const auto decided = vault::decided_logs(vault);
    const auto logbook = load_logs(vault, plan);
    const auto logs = foresee_logs(vault, point, plan, decided, logbook);
    if (logs.point_only) refuse_later_time(point, plan);
    out.point_only = logs.point_only;
    warnings = logs.pruned;
    if (plan.stores.contains(Store::kafka)) {
      foresee_kafka(vault, point, logbook, warnings);
    } else if (plan.stores.contains(Store::clickhouse)) {
      const auto document = clickhouse_document_from_json(point.stores.at("clickhouse"));
      foresee_cut(c, document, warnings);
      out.fill = foresee_fill(c, logbook, document.cut, plan.accept_loss, warnings);
    }
  }
  if (plan.stores.contains(Store::zookeeper) && c.config.kafka &&
      !plan.stores.contains(Store::kafka)) {
    warnings.push_back(
        "stop Kafka's brokers before an empty ZooKeeper is started, and start them "
        "again when the tree is written");
  }
  if (plan.stores.contains(Store::kafka)) {
    warnings.push_back("keep producers away from Kafka until its batches are restored");
  }
  return out;
}

ForeseenLogs foresee_logs(const vault::Vault& vault, const vault::RecoveryPoint& point,
                          const Plan& plan, const vault::PrunedLogs& decided,
                          const vault::Logbook& logbook) {
  ForeseenLogs out;
  if (plan.stores.contains(Store::postgres) && wal_is_pruned(point, decided, logbook)) {
    out.point_only = true;
    out.pruned.push_back(
        "PostgreSQL comes back as it was when the point was taken: the WAL that follows was "
        "pruned");
  }
  if (!plan.stores.contains(Store::kafka)) return out;
  const auto pruned = vault::read_pruned(vault).logs;
  for (const auto& chosen : choose_logs(logbook, read_kafka_document(vault, point))) {
    foresee_pruned(chosen, decided, pruned, out.pruned);
  }
  return out;
}

vault::Logbook load_logs(const vault::Vault& vault, const Plan& plan) {
  const bool postgres_alone =
      !plan.stores.contains(Store::kafka) && !plan.stores.contains(Store::clickhouse);
  return postgres_alone ? vault::Logbook::load(vault) : load_history(vault);
}

KafkaDocument read_kafka_document(const vault::Vault& vault, const vault::RecoveryPoint& point) {
  vault::Chunks chunks(vault);
  return read_kafka_document(chunks, vault, point);
}

KafkaDocument read_kafka_document(vault::Chunks& chunks, const vault::Vault& vault,
                                  const vault::RecoveryPoint& point) {
  auto id =
      vault::SnapshotId::parse(point.stores.value("/kafka/snapshot"_json_pointer, std::string()));
  if (!id) throw Error(Code::corrupt, "point " + point.id, "has no snapshot of Kafka");
  auto text =
      vault::SnapshotReader(chunks, vault::snapshot_name(vault, *id)).read_small("kafka.json");
  if (!text) throw Error(Code::corrupt, "Kafka's snapshot", "lacks kafka.json");
  return kafka_document_from_json(nlohmann::json::parse(*text));
}

std::vector<ChosenTopic> choose_logs(const vault::Logbook& logbook, const KafkaDocument& document) {
  // topic -> topic id -> its logs
  std::map<std::string, std::map<std::string, ChosenTopic>> found;
  for (const auto& summary : logbook.logs()) {
    auto log = parse_kafka_log(summary.log);
    if (!log) continue;
    auto& candidate = found[log->topic][log->topic_id];
    candidate.logs.push_back(*log);
    candidate.summaries.push_back(summary);
  }
  auto newest = [](const ChosenTopic& t) {
    Timestamp last;
    for (const auto& s : t.summaries) last = std::max(last, s.max_time);
    return last;
  };
  std::vector<ChosenTopic> out;
  for (auto& [name, candidates] : found) {
    const auto* saved = document.topic(name);
    auto best = candidates.end();
    for (auto it = candidates.begin(); it != candidates.end(); ++it) {
      bool documented = saved && it->first == saved->topic_id;
      if (best == candidates.end() || newest(it->second) > newest(best->second) ||
          (newest(it->second) == newest(best->second) && documented)) {
        best = it;
      }
    }
    ChosenTopic chosen = std::move(best->second);
    chosen.in_document = saved != nullptr;
    chosen.topic = saved ? *saved : SavedTopic{name, best->first, 1, 1, {}};
    chosen.topic.topic_id = best->first;
    for (const auto& log : chosen.logs) {
      chosen.topic.partitions = std::max(chosen.topic.partitions, log.partition.value + 1);
    }
    out.push_back(std::move(chosen));
  }
  for (const auto& topic : document.topics) {
    if (!found.contains(topic.name)) out.push_back({topic, {}, {}, true});
  }
  return out;
}

}  // namespace lifeboat::recovery
