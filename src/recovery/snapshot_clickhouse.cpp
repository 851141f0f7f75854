#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "clickhouse/hold.hpp"
#include "clickhouse/snapshot.hpp"
#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "recovery/backup.hpp"
#include "recovery/restore_lock.hpp"
#include "recovery/saved_files.hpp"
#include "recovery/unpublished_backups.hpp"

namespace lifeboat::recovery {
namespace {

clickhouse::Cursors to_cursors(const std::map<kafka::TopicPartition, Offset>& offsets) {
  clickhouse::Cursors out;
  for (const auto& [tp, offset] : offsets) out[{tp.topic, tp.partition}] = offset;
  return out;
}

std::map<kafka::TopicPartition, Offset> from_cursors(const clickhouse::Cursors& cursors) {
  std::map<kafka::TopicPartition, Offset> out;
  for (const auto& [tp, offset] : cursors) out[{tp.topic, tp.partition}] = offset;
  return out;
}

// The broker's side of a cut: which partitions a group reads, where their logs started before it.
class BrokerSide {
 public:
  BrokerSide(const Context& c, const clickhouse::SchemaGraph& graph)
      : admin_(kafka_config(c.config), c.clock) {
    kafka::Cluster cluster(kafka_config(c.config), c.clock);
    auto info = cluster.metadata();
    cluster_id_ = info.cluster_id;
    std::vector<kafka::TopicPartition> all;
    for (const auto& group : clickhouse::consumer_groups(graph)) {
      for (const auto& topic : clickhouse::topics_of(graph, group)) {
        const auto* found = info.topic(topic);
        if (!found) continue;  // not made yet: the table waits for it
        topic_ids_[topic] = found->topic_id;
        for (const auto& p : found->partitions) {
          partitions_[group].push_back({topic, p.id});
          all.push_back({topic, p.id});
        }
      }
    }
    offsets_ = cluster.offsets(all);
  }

  std::map<kafka::TopicPartition, Offset> committed(const std::string& group) {
    return admin_.committed(group);
  }
  // A partition of which nothing was committed yet begins at its log's start; what the group has
  // committed of topics that ClickHouse does not read is not ours.
  std::map<kafka::TopicPartition, Offset> complete(
      const std::string& group, const std::map<kafka::TopicPartition, Offset>& committed) const {
    std::map<kafka::TopicPartition, Offset> out;
    auto read = partitions_.find(group);
    if (read == partitions_.end()) return out;
    for (const auto& tp : read->second) {
      auto it = committed.find(tp);
      out[tp] = it != committed.end() ? it->second : offsets_.at(tp).log_start;
    }
    return out;
  }
  const std::string& cluster_id() const { return cluster_id_; }
  const std::map<std::string, std::string>& topic_ids() const { return topic_ids_; }

 private:
  kafka::Admin admin_;
  std::string cluster_id_;
  std::map<std::string, std::string> topic_ids_;
  std::map<std::string, std::vector<kafka::TopicPartition>> partitions_;
  std::map<kafka::TopicPartition, kafka::PartitionOffsets> offsets_;
};

struct Taken {
  ClickHouseCut cut;
  std::string backup_id;
  double held_seconds = 0;
};

void check_supported(const clickhouse::SchemaGraph& graph) {
  for (const auto& ref : clickhouse::kafka_table_refs(graph)) {
    const auto* table = graph.find_kafka(ref);
    if (table && !table->unsupported.empty()) {
      throw Error(Code::unsupported, clickhouse::to_string(ref), table->unsupported,
                  "leave its database out of `clickhouse.databases`, or change the table");
    }
  }
}

Taken exact_cut(const Context& c, clickhouse::Client& client, clickhouse::CutRequest request,
                BrokerSide& broker) {
  request.committed = [&](const std::string& group) { return to_cursors(broker.committed(group)); };
  const auto alone = HoldLock::take(c);
  request.watchdog = {"/proc/self/exe", "hold-watchdog"};
  request.watchdog_keeps = &alone.fd();
  auto cut = clickhouse::take_cut(client, request, c.cancel, c.clock);
  Taken out;
  out.backup_id = cut.backup_id;
  out.held_seconds = cut.held.still;
  for (const auto& group : request.groups) {
    out.cut.cut[group] = broker.complete(group, from_cursors(cut.cursors[group]));
  }
  return out;
}

// Without a hold: events between the two readings may or may not be in the backup.
Taken bounded_cut(const Context& c, clickhouse::Client& client, clickhouse::CutRequest request,
                  BrokerSide& broker) {
  Taken out;
  out.cut.exact = false;
  for (const auto& g : request.groups) out.cut.cut[g] = broker.complete(g, broker.committed(g));
  request.name += kBoundedSuffix;
  out.backup_id =
      clickhouse::start_backup(client, request.place, request.name, request.backup_tables);
  clickhouse::wait_pinned(client, out.backup_id, Deadline::after(request.pin_within), c.cancel);
  for (const auto& g : request.groups) out.cut.upper[g] = broker.complete(g, broker.committed(g));
  return out;
}

Taken cut(const Context& c, clickhouse::Client& client, const clickhouse::CutRequest& request,
          BrokerSide& broker) {
  try {
    return exact_cut(c, client, request, broker);
  } catch (const Error& e) {
    if (e.code() != Code::timeout) throw;
    c.reporter.note(fmt::format(
        "no exact cut: {}. The point is written with bounds; raise clickhouse.hold_limit",
        e.what()));
    return bounded_cut(c, client, request, broker);
  }
}

// A backup that nobody waits for any more would go on for hours and be worth nothing.
void wait_for_backup(const Context& c, clickhouse::Client& client, const std::string& id) {
  try {
    clickhouse::wait_finished(client, id, c.cancel, [&](const auto& status) {
      c.reporter.progress("backup", 0, status.total_size.value, "bytes");
    });
  } catch (const Error& e) {
    if (e.code() == Code::cancelled) {
      clickhouse::kill_backup(client, id, Deadline::after(Millis(10000)));
    }
    throw;
  }
}

vault::SnapshotId save_backup(const Context& c, vault::Chunks& chunks,
                              const clickhouse::SchemaGraph& graph,
                              const clickhouse::BackupPlace& place, const std::string& name) {
  vault::SnapshotWriter writer(chunks, "clickhouse-backup");
  writer.add_file("schema.json", 0600, c.clock.now(), clickhouse::to_json(graph).dump());
  writer.begin_file("files.jsonl", 0600, c.clock.now());
  clickhouse::BackupFiles files(place, name);
  std::uint64_t done = 0;
  files.for_each_stored([&](const std::string& file, ByteCount size) {
    c.cancel.check();
    ByteCount read;
    Digest digest = sha256_of_file(files.folder() / file, read);
    if (read != size) {
      throw Error(Code::corrupt, (files.folder() / file).string(),
                  fmt::format("has {} bytes, the backup lists {}", read.value, size.value),
                  "run `lifeboat backup` again; if it happens again, look at that disk");
    }
    writer.data(encode(SavedFile{file, size, digest}));
    c.reporter.progress("checksums of the backup", ++done, 0, "files");
  });
  writer.end_file();
  return writer.finish({{"disk", place.disk}, {"backup", name}});
}

}  // namespace

nlohmann::json snapshot_clickhouse(const Context& c, vault::Chunks& chunks,
                                   const std::string& name) {
  const auto& config = *c.config.clickhouse;
  clickhouse::Client client(clickhouse_config(c.config));
  clickhouse::require_pause(clickhouse::server_info(client), client.url());
  auto graph = clickhouse::read_schema(client, config.databases);
  check_supported(graph);

  clickhouse::CutRequest request;
  request.kafka_tables = clickhouse::kafka_table_refs(graph);
  request.distributed_tables = clickhouse::distributed_tables(graph);
  request.backup_tables = clickhouse::data_tables(graph);
  request.groups = clickhouse::consumer_groups(graph);
  request.place = {config.backup_disk, config.backup_path};
  request.name = name;
  request.idle_within = config.hold_limit;

  if (!request.groups.empty() && !c.config.kafka) {
    throw Error(Code::config, c.config.file.string(),
                "ClickHouse consumes from Kafka, but there is no section 'kafka'",
                "add it: the cut is read from the consumer groups");
  }
  if (request.backup_tables.empty()) {
    throw Error(Code::failed, client.url(), "holds no table with data",
                "look at `clickhouse.databases` in " + c.config.file.string());
  }
  Taken taken;
  std::optional<BrokerSide> broker;
  if (request.groups.empty()) {
    taken.backup_id = clickhouse::start_backup(client, request.place, name, request.backup_tables);
  } else {
    broker.emplace(c, graph);
    taken = cut(c, client, request, *broker);
    taken.cut.cluster_id = broker->cluster_id();
    taken.cut.topic_ids = broker->topic_ids();
  }
  wait_for_backup(c, client, taken.backup_id);

  ClickHouseDocument document;
  document.disk = config.backup_disk;
  document.backup = taken.backup_id;
  document.cut = std::move(taken.cut);
  document.held_seconds = taken.held_seconds;
  document.snapshot = save_backup(c, chunks, graph, request.place, taken.backup_id);
  return to_json(document);
}

}  // namespace lifeboat::recovery
