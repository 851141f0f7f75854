#include "recovery/inspect.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "clickhouse/hold.hpp"
#include "clickhouse/restore.hpp"
#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "kafka/fetcher.hpp"
#include "postgres/file_backup.hpp"
#include "recovery/history.hpp"
#include "recovery/log_names.hpp"
#include "recovery/restore_pin.hpp"
#include "recovery/retention.hpp"
#include "recovery/vault_key.hpp"
#include "recovery/verify.hpp"
#include "recovery/writers.hpp"
#include "vault/logbook.hpp"
#include "vault/points.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::recovery {
namespace {

// What is lost: a gap that one archiver recorded may be held by another's objects.
std::vector<vault::Hole> holes_of(const vault::Logbook& logbook, const vault::LogSummary& log) {
  if (log.gaps == 0) return {};
  auto holes = logbook.coverage(log.log).holes;
  std::erase_if(holes, [](const auto& hole) { return !hole.recorded; });
  return holes;
}

class Findings {
 public:
  void ok(std::string store, std::string name, std::string what) {
    all.push_back({std::move(store), std::move(name), Finding::Level::ok, std::move(what), {}});
  }
  void add(std::string store, std::string name, Finding::Level level, std::string what,
           std::string hint) {
    all.push_back({std::move(store), std::move(name), level, std::move(what), std::move(hint)});
  }
  // What `look` throws is a finding.
  template <typename F>
  void guarded(const std::string& store, F&& look) {
    try {
      look();
    } catch (const Error& e) {
      if (e.code() == Code::cancelled) throw;
      add(store, "reachable", Finding::Level::problem, e.what(), e.hint());
    }
  }
  std::vector<Finding> all;
};

void check_encryption(const Context& c, const vault::Vault& vault, Findings& f) {
  if (!vault.encrypted()) {
    f.ok("vault", "encryption",
         "NOT ENCRYPTED: whoever can read its files can read all that it holds");
    return;
  }
  f.ok("vault", "encryption",
       "AES-256-GCM, opened by " +
           (vault.opened_by().empty() ? "the recovery key" : "key " + vault.opened_by()));
  for (const auto& listed : vault::list_keys(vault.store(), vault.id())) {
    if (!listed.problem) continue;
    f.add("vault", "key", Finding::Level::warning, listed.problem->what(), listed.problem->hint());
  }
  for (const auto& file : exposed_key_files(c.config)) {
    f.add("vault", "key", Finding::Level::warning,
          file.string() + " can be read by others than its owner", "chmod 600 " + file.string());
  }
  if (c.config.clickhouse) {
    f.add(
        "vault", "encryption", Finding::Level::warning,
        fmt::format("ClickHouse writes its backups to {} itself, not encrypted by the vault's key",
                    c.config.clickhouse->backup_path.string()),
        "keep that folder on an encrypted disk");
  }
}

void check_vault(const Context& c, Findings& f) {
  f.guarded("vault", [&] {
    auto open = open_vault(c.config);
    f.ok("vault", "readable", fmt::format("{} in {}", open.vault.id(), c.config.vault.shown()));
    check_encryption(c, open.vault, f);
    auto logbook = vault::Logbook::load(open.vault);
    for (const auto& damaged : logbook.damaged()) {
      auto level = damaged.costs_nothing() ? Finding::Level::warning : Finding::Level::problem;
      f.add("vault", "logbook", level, damaged.error.what(),
            "`lifeboat verify` says what it costs");
    }
    for (const auto& log : logbook.logs()) {
      for (const auto& hole : holes_of(logbook, log)) {
        f.add("vault", "gap", Finding::Level::warning,
              fmt::format("{} lacks [{}, {}): {}", log.log.value, hole.range.from, hole.range.to,
                          hole.why),
              "take a new point: `lifeboat backup`");
      }
    }
    for (const auto& listed : vault::list_points(open.vault)) {
      if (listed.point) continue;
      f.add("vault", "point", Finding::Level::problem, listed.id + ": " + listed.problem,
            "`lifeboat verify` says more; take a new point: `lifeboat backup`");
    }
  });
}

void check_postgres(const Context& c, Findings& f) {
  f.guarded("postgres", [&] {
    auto all = postgres::check(postgres_config(c.config), c.cancel);
    if (c.config.postgres->read_files) {
      const auto& directory = c.config.postgres->data_directory;
      for (auto& one :
           postgres::check_file_backup(postgres_config(c.config), directory, c.cancel)) {
        all.push_back(std::move(one));
      }
    }
    for (const auto& found : all) {
      auto level = found.ok        ? Finding::Level::ok
                   : found.warning ? Finding::Level::warning
                                   : Finding::Level::problem;
      f.add("postgres", found.name, level, found.what, found.hint);
    }
    auto slot = postgres::slot_state(postgres_config(c.config), c.config.postgres->slot, c.cancel);
    bool lost = slot.wal_status == "lost";
    f.add("postgres", "slot", lost ? Finding::Level::problem : Finding::Level::ok,
          slot.activity == postgres::SlotActivity::absent
              ? "not there yet; `run` and `backup` make it"
              : fmt::format("{} is {}", c.config.postgres->slot,
                            slot.activity == postgres::SlotActivity::active ? "being read"
                                                                            : "not being read"),
          lost ? "it has lost WAL: take a new point with `lifeboat backup`" : "");
  });
}

// What Kafka is about to delete before it is archived.
void check_retention(const Context& c, Findings& f) {
  auto open = open_vault(c.config);
  for (const auto& one : partitions_left(c, load_history(open.vault))) {
    if (!alarming(one.left, c.config.alarm_before)) continue;
    bool passed = one.left.kind == TimeLeft::Kind::passed;
    auto what = passed
                    ? fmt::format("[{}, {}) of {} is lost: retention has passed what is archived",
                                  one.facts.next, one.facts.source_start, to_string(one.log))
                    : fmt::format(
                          "{} is not archived from {} on, and Kafka begins to delete it "
                          "in about {}",
                          to_string(one.log), one.facts.next, to_string(one.left));
    f.add("kafka", "retention", Finding::Level::warning, what,
          passed ? "start `lifeboat run`: the gap is recorded, and the rest archived"
                 : "start `lifeboat run`, or see why it is slow; or raise the topic's retention");
  }
}

void check_kafka(const Context& c, Findings& f) {
  f.guarded("kafka", [&] {
    kafka::Cluster cluster(kafka_config(c.config), c.clock);
    auto info = cluster.metadata();
    f.ok("kafka", "reachable",
         fmt::format("cluster {}, {} brokers, {} topics", info.cluster_id, info.brokers.size(),
                     info.topics.size()));
    for (const auto& topic : info.topics) {
      for (const auto& p : topic.partitions) {
        if (p.leader.value >= 0) continue;
        f.add("kafka", "leader", Finding::Level::problem,
              fmt::format("{}/{} has no leader", topic.name, p.id), "see to its brokers");
      }
    }
    check_retention(c, f);
  });
}

void check_clickhouse(const Context& c, Findings& f) {
  f.guarded("clickhouse", [&] {
    clickhouse::Client client(clickhouse_config(c.config));
    auto server = clickhouse::server_info(client);
    f.ok("clickhouse", "reachable", "version " + server.version);
    f.guarded("clickhouse", [&] { clickhouse::require_pause(server, client.url()); });
    const auto& config = *c.config.clickhouse;
    auto disk = clickhouse::disk_path(client, config.backup_disk);
    std::error_code ec;
    bool seen = std::filesystem::is_directory(config.backup_path, ec);
    f.add("clickhouse", "backup disk", seen ? Finding::Level::ok : Finding::Level::problem,
          fmt::format("{} is {} there, {} here{}", config.backup_disk, disk.string(),
                      config.backup_path.string(), seen ? "" : ", which is no directory"),
          seen ? "" : "mount that folder on this machine, or correct clickhouse.backup_path");
    auto graph = clickhouse::read_schema(client, config.databases);
    f.ok("clickhouse", "tables",
         fmt::format("{} with data, {} Kafka tables", clickhouse::data_tables(graph).size(),
                     clickhouse::kafka_table_refs(graph).size()));
    for (const auto& ref : clickhouse::kafka_table_refs(graph)) {
      const auto* table = graph.find_kafka(ref);
      if (!table || table->unsupported.empty()) continue;
      f.add("clickhouse", clickhouse::to_string(ref), Finding::Level::problem, table->unsupported,
            "leave its database out of clickhouse.databases, or change the table");
    }
  });
}

void check_zookeeper(const Context& c, Findings& f) {
  f.guarded("zookeeper", [&] {
    auto state = zookeeper::target_state(zookeeper_config(c.config), c.cancel);
    if (!state.reachable) {
      f.add("zookeeper", "reachable", Finding::Level::problem, state.reason,
            "start it, or correct zookeeper.connect");
    } else {
      f.ok("zookeeper", "reachable", c.config.zookeeper->connect);
    }
    if (state.unfinished_run) {
      f.add("zookeeper", "restore", Finding::Level::problem,
            "the restore " + *state.unfinished_run + " was begun here and did not finish",
            "run the same `lifeboat restore` again: it goes on");
    }
  });
}

// Where the source's logs end; what is down is left out and named in `stores`.
std::map<std::string, Position> source_ends(const Context& c, nlohmann::json& stores) {
  std::map<std::string, Position> ends;
  auto look = [&](const char* store, auto&& f) {
    try {
      f();
      stores[store] = {{"reachable", true}};
    } catch (const Error& e) {
      if (e.code() == Code::cancelled) throw;
      stores[store] = {{"reachable", false}, {"problem", e.what()}};
    }
  };
  if (c.config.kafka) {
    look("kafka", [&] {
      kafka::Cluster cluster(kafka_config(c.config), c.clock);
      auto info = cluster.metadata();
      std::vector<kafka::TopicPartition> partitions;
      for (const auto& topic : info.topics) {
        if (!kafka::is_chosen(topic, c.config.kafka->include, c.config.kafka->exclude)) continue;
        for (const auto& p : topic.partitions) {
          if (p.leader.value >= 0) partitions.push_back({topic.name, p.id});
        }
      }
      for (const auto& [tp, offsets] : cluster.offsets(partitions)) {
        auto log =
            log_name({info.cluster_id, info.topic(tp.topic)->topic_id, tp.topic, tp.partition});
        ends[log.value] = Position(offsets.high_watermark.value);
      }
    });
  }
  if (c.config.postgres) {
    look("postgres", [&] {
      auto info = postgres::identify(postgres_config(c.config), c.cancel);
      ends[wal_log_name({info.system_identifier, info.timeline}).value] =
          Position(static_cast<std::int64_t>(info.flush_lsn.value));
    });
  }
  if (c.config.clickhouse) {
    look("clickhouse", [&] { clickhouse::Client(clickhouse_config(c.config)).ping(); });
  }
  if (c.config.zookeeper) {
    look("zookeeper", [&] {
      auto state = zookeeper::target_state(zookeeper_config(c.config), c.cancel);
      if (!state.reachable) {
        throw Error(Code::unavailable, c.config.zookeeper->connect, state.reason);
      }
    });
  }
  return ends;
}

nlohmann::json describe_log(const vault::LogSummary& log,
                            const std::map<std::string, Position>& ends) {
  nlohmann::json out = {{"log", log.log.value},   {"first", log.first.value},
                        {"next", log.next.value}, {"bytes", log.bytes.value},
                        {"gaps", log.gaps},       {"newest", to_string(log.max_time)}};
  if (auto it = ends.find(log.log.value); it != ends.end()) {
    out["source_end"] = it->second.value;
    out["behind"] = std::max<std::int64_t>(0, it->second - log.next);
  }
  return out;
}

// Of each partition: how long until Kafka deletes what is not archived. Empty while Kafka is down.
nlohmann::json describe_retention(const Context& c, const vault::Logbook& logbook,
                                  nlohmann::json& stores) {
  auto out = nlohmann::json::array();
  if (!stores.contains("kafka") || !stores["kafka"]["reachable"]) return out;
  try {
    for (const auto& one : partitions_left(c, logbook)) {
      nlohmann::json left = nullptr;
      if (one.left.kind == TimeLeft::Kind::known || one.left.kind == TimeLeft::Kind::passed) {
        left = one.left.seconds;
      }
      out.push_back({{"log", log_name(one.log).value},
                     {"next", one.facts.next.value},
                     {"source_start", one.facts.source_start.value},
                     {"source_end", one.facts.source_end.value},
                     {"time_left", to_string(one.left)},
                     {"seconds_left", left},
                     {"alarm", alarming(one.left, c.config.alarm_before)}});
    }
  } catch (const Error& e) {
    if (e.code() == Code::cancelled) throw;
    stores["kafka"]["problem"] = e.what();
  }
  return out;
}

}  // namespace

std::vector<Finding> check_all(const Context& c) {
  Findings f;
  check_vault(c, f);
  if (c.config.postgres) check_postgres(c, f);
  if (c.config.kafka) check_kafka(c, f);
  if (c.config.clickhouse) check_clickhouse(c, f);
  if (c.config.zookeeper) check_zookeeper(c, f);
  return std::move(f.all);
}

namespace {

vault::LogName newest_branch(const std::vector<vault::LogSummary>& logs, const kafka::LogId& log) {
  kafka::LeaderEpoch newest(-1);
  for (const auto& summary : logs) {
    auto branch = parse_kafka_branch(summary.log);
    if (branch && branch->log == log) newest = std::max(newest, branch->epoch);
  }
  return log_name_since(log, newest);
}

// The archivers that share the work, as the group's coordinator knows them.
nlohmann::json archivers_of(const Context& c) {
  const auto& group = c.config.kafka->archiver_group;
  nlohmann::json out = {{"group", group}, {"members", nlohmann::json::array()}};
  try {
    auto found = kafka::Admin(kafka_config(c.config), c.clock).describe(group);
    out["state"] = to_string(found.state);
    for (const auto& member : found.members) {
      out["members"].push_back({{"member", member.member_id},
                                {"host", member.host},
                                {"partitions", member.assignment.size()}});
    }
  } catch (const Error& e) {
    if (e.code() == Code::cancelled) throw;
    out["problem"] = e.what();
  }
  return out;
}

}  // namespace

nlohmann::json status_of(const Context& c, const vault::Vault& vault) {
  const auto single = single_writer(vault.store());
  nlohmann::json out = {{"vault",
                         {{"id", vault.id()},
                          {"path", c.config.vault.shown()},
                          {"encrypted", vault.encrypted()},
                          {"opened_by", vault.opened_by()},
                          {"single_writer", single ? nlohmann::json(*single) : nlohmann::json()}}},
                        {"now", to_string(c.clock.now())},
                        {"stores", nlohmann::json::object()},
                        {"logs", nlohmann::json::array()},
                        {"gaps", nlohmann::json::array()}};
  auto ends = source_ends(c, out["stores"]);
  if (c.config.kafka && !c.config.kafka->archiver_group.empty()) out["archivers"] = archivers_of(c);
  auto logbook = vault::Logbook::load(vault);
  out["diverged"] = nlohmann::json::array();
  const auto logs = logbook.logs();
  for (const auto& log : logs) {
    // The source's log is the one of the last branch: names are sorted by log, not by epoch.
    auto branch = parse_kafka_branch(log.log);
    auto end = branch ? ends.extract(log_name(branch->log).value) : decltype(ends)::node_type();
    if (end.empty()) continue;
    end.key() = newest_branch(logs, branch->log).value;
    ends.insert(std::move(end));
  }
  for (const auto& log : logs) {
    out["logs"].push_back(describe_log(log, ends));
    if (auto branch = parse_kafka_branch(log.log)) {
      out["diverged"].push_back({{"log", log_name(branch->log).value},
                                 {"since_epoch", branch->epoch.value},
                                 {"from", log.first.value},
                                 {"archived_as", log.log.value}});
    }
    for (const auto& hole : holes_of(logbook, log)) {
      out["gaps"].push_back({{"log", log.log.value},
                             {"from", hole.range.from.value},
                             {"to", hole.range.to.value},
                             {"why", hole.why}});
    }
  }
  follow_histories(logbook);
  out["retention"] = describe_retention(c, logbook, out["stores"]);
  nlohmann::json points = {{"count", 0}, {"broken", 0}};
  const auto proven = vault::read_proven(vault);
  for (const auto& listed : vault::list_points(vault)) {
    points["count"] = points["count"].get<int>() + 1;
    if (!listed.point) {
      points["broken"] = points["broken"].get<int>() + 1;
      continue;
    }
    points["newest"] = listed.id;
    points["proof"] = proof_json(proven.find(listed.id));
    points["age_seconds"] = (c.clock.now() - listed.point->created) / 1000;
  }
  points["restores"] = pins_json(vault);
  out["points"] = points;
  return out;
}

}  // namespace lifeboat::recovery
