#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "clickhouse/hold.hpp"
#include "clickhouse/restore.hpp"
#include "recovery/restore_lock.hpp"
#include "recovery/restore_session.hpp"
#include "vault/chunks.hpp"
#include "vault/snapshot.hpp"
#include "zookeeper/kafka_nodes.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::recovery {
namespace {

// The saved tree, node by node, without holding more than a chunk of it.
class SavedTree {
 public:
  SavedTree(const vault::Vault& vault, const vault::SnapshotId& id) : chunks_(vault) {
    vault::SnapshotReader(vault, id).for_each([&](const vault::Entry& entry) {
      if (entry.path == "znodes.jsonl") refs_ = entry.chunks;
    });
    if (refs_.empty()) throw Error(Code::corrupt, "ZooKeeper's snapshot", "holds no tree");
  }
  std::optional<zookeeper::Znode> next() {
    for (;;) {
      if (auto node = decoder_.next()) return node;
      if (at_ == refs_.size()) {
        decoder_.finish();
        return std::nullopt;
      }
      decoder_.feed(chunks_.get(refs_[at_++]));
    }
  }

 private:
  vault::Chunks chunks_;
  std::vector<vault::ChunkRef> refs_;
  std::size_t at_ = 0;
  zookeeper::TreeDecoder decoder_;
};

// What is about to be detached joins what an interrupted run has detached.
nlohmann::json keep_detached(RestoreSession& s, const clickhouse::SchemaGraph& graph,
                             const std::vector<clickhouse::TableRef>& tables) {
  auto& kept = s.journal.data()["zookeeper_detached"];
  if (kept.is_null()) {
    kept = {{"tables", nlohmann::json::array()}, {"members", nlohmann::json::array()}};
  }
  const auto standing = journaled_tables(kept);
  for (const auto& t : tables) {
    if (std::find(standing.begin(), standing.end(), t) != standing.end()) continue;
    kept["tables"].push_back({t.database, t.name});
  }
  for (const auto& member : clickhouse::consumer_members(s.clickhouse(), tables)) {
    if (const auto* table = graph.find_kafka(member.table)) {
      kept["members"].push_back({table->group, member.member_id});
    }
  }
  s.journal.save();
  return kept;
}

// A detached table's member would keep its partitions until its session ends. That costs time only.
void evict_detached(RestoreSession& s, const nlohmann::json& kept) {
  for (const auto& member : kept.at("members")) {
    const auto group = member.at(0).get<std::string>();
    try {
      s.admin().evict(group, member.at(1).get<std::string>());
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      s.context.reporter.note(fmt::format(
          "ClickHouse will have its partitions of group {} later: {}", group, error.what()));
    }
  }
}

}  // namespace

// A block that is written while the brokers are away cannot be committed, and would be read again.
// So ClickHouse's Kafka tables are detached until the brokers are back, whatever becomes of this
// process: a consumer that is only paused writes what it has fetched as soon as it is let go.
void zookeeper_hold_clickhouse(RestoreSession& s) {
  const auto graph =
      clickhouse::read_schema(s.clickhouse(), s.context.config.clickhouse->databases);
  const auto tables = clickhouse::kafka_table_refs(graph);  // without those detached already
  const auto kept = keep_detached(s, graph, tables);
  if (!tables.empty()) {
    const auto alone = HoldLock::take(s.context);
    clickhouse::Hold hold(s.clickhouse(), tables,
                          Deadline::after(s.context.config.clickhouse->hold_limit),
                          s.context.cancel, s.context.clock);
    hold.check_still();
    clickhouse::detach_kafka_tables(s.clickhouse(), tables);
    hold.release();
  }
  evict_detached(s, kept);
}

// Brokers that live on an empty ZooKeeper would take it for a new cluster.
void zookeeper_brokers_stopped(RestoreSession& s) {
  s.wait_until("stop Kafka's brokers now (their disks keep everything)", [&] {
    return !answers([&] {
      s.cluster().metadata();
      return true;
    });
  });
}

void zookeeper_release_clickhouse(RestoreSession& s) {
  const auto& data = s.journal.data();
  if (!data.contains("zookeeper_detached")) return;  // an older Lifeboat's hold ended with it
  const auto tables = journaled_tables(data["zookeeper_detached"]);
  clickhouse::attach_kafka_tables(s.clickhouse(), tables);
  clickhouse::repair(s.clickhouse(), tables);
}

void zookeeper_wait(RestoreSession& s) {
  auto skeleton = [](std::string_view path) { return zookeeper::kafka_skeleton(path); };
  s.wait_until("start an empty ZooKeeper now at " + s.context.config.zookeeper->connect, [&] {
    return zookeeper::target_state(zookeeper_config(s.context.config), s.context.cancel, skeleton)
        .reachable;
  });
}

void zookeeper_tree(RestoreSession& s) {
  auto id =
      vault::SnapshotId::parse(s.point.stores.at("zookeeper").at("snapshot").get<std::string>());
  if (!id) throw Error(Code::corrupt, "point " + s.point.id, "has no snapshot of ZooKeeper");
  SavedTree tree(s.vault, *id);
  // A Kafka that is restored too is made anew: its nodes would promise logs that no disk holds.
  bool without_kafka = s.restores(Store::kafka);
  auto options =
      without_kafka ? zookeeper::RestoreOptions{} : zookeeper::kafka_restore_options(s.plan.id);
  options.run = s.plan.id;
  if (without_kafka) {
    options.keep = [](const zookeeper::Znode& node) {
      return !zookeeper::is_kafka_path(node.path);
    };
    options.skeleton = [](std::string_view path) { return zookeeper::kafka_skeleton(path); };
  }
  options.overwrite = s.may_overwrite(s.context.config.zookeeper->connect);
  options.whole = s.journal.data().contains("zookeeper_whole");
  options.on_whole = [&] {
    s.journal.data()["zookeeper_whole"] = true;
    s.journal.save();
  };
  auto result = zookeeper::restore_tree(
      zookeeper_config(s.context.config), s.context.cancel, [&] { return tree.next(); }, options);
  s.context.reporter.progress("znodes", result.created + result.overwritten + result.present,
                              s.point.stores.at("zookeeper").value("nodes", 0u), "znodes");
}

void zookeeper_kafka(RestoreSession& s) {
  std::string cluster_id = s.point.stores.contains("kafka")
                               ? s.point.stores["kafka"].value("cluster_id", std::string())
                               : std::string();
  auto brokers = kafka_config(s.context.config).bootstrap;
  s.wait_until("start Kafka's brokers now", [&] {
    return answers([&] {
      auto info = s.cluster().metadata();
      if (!cluster_id.empty() && info.cluster_id != cluster_id) {
        throw Error(Code::failed, "Kafka",
                    fmt::format("came up as cluster {}, but was {}", info.cluster_id, cluster_id),
                    "stop the brokers; /cluster/id in ZooKeeper must be that of their disks");
      }
      for (const auto& topic : info.topics) {
        for (const auto& partition : topic.partitions) {
          if (partition.leader.value < 0) return false;
        }
      }
      return !info.topics.empty();
    });
  });
}

}  // namespace lifeboat::recovery
