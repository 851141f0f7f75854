#include "recovery/prune.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/host.hpp"
#include "clickhouse/snapshot.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/log_names.hpp"
#include "recovery/logbook_keeping.hpp"
#include "recovery/targets.hpp"
#include "recovery/unpublished_backups.hpp"
#include "recovery/writers.hpp"
#include "vault/proof.hpp"
#include "vault/prune_word.hpp"

namespace lifeboat::recovery {
namespace {

bool names_points(const PruneRequest& request) {
  return !request.drop.empty() || !request.unpin.empty();
}

// Without `retention` all points are kept but those that somebody names, or has named before.
RetentionConfig retention_of(const Context& c, const vault::Vault& vault,
                             const PruneRequest& request) {
  if (c.config.retention) return *c.config.retention;
  if (names_points(request) || !vault::list_words(vault).empty()) return {};
  throw Error(Code::config, c.config.file.string(),
              "has no section 'retention': what is to be kept is not known, and nothing is dropped",
              "write one, such as `retention: {keep_last: 24, keep_daily: 14, keep_weekly: 8}` "
              "(`lifeboat init --print` shows all of it), or name points: --drop POINT");
}

// To ask takes space, and to delete none: on a full disk nothing is known of the store then, and
// conditions are asked for all the same.
void ask_if_there_is_space(const Context& c, store::ObjectStore& store) {
  try {
    ask_writers(c, store, Ask::when_unknown);
  } catch (const Error& error) {
    if (error.code() != Code::no_space) throw;
  }
}

// A BACKUP is named by its point, so no other point has it.
std::vector<std::string> outside_of(const vault::RecoveryPoint& point) {
  if (!point.stores.contains("clickhouse")) return {};
  auto document = clickhouse_document_from_json(point.stores["clickhouse"]);
  return {document.backup};
}

void remove_backup(const Context& c, const std::string& name) {
  const auto place = visible_backups(c.config);
  if (!place) {
    c.reporter.note("ClickHouse's backup " + name +
                    " stays on its disk, which can't be seen here: remove its folder there");
    return;
  }
  clickhouse::remove_backup(*place, name);
}

vault::LogName log_of(const std::string& cluster, const std::string& topic_id,
                      const std::string& topic, std::int32_t partition) {
  return log_name({cluster, topic_id, topic, PartitionId(partition)});
}

// A point keeps of Kafka all that the brokers held then, so that a lost Kafka comes back with it;
// compacted topics are kept from their beginning on, as the brokers do.
void add_kafka_starts(const KafkaDocument& document, Timestamp created, vault::PointLogs& logs) {
  for (const auto& [topic, starts] : *document.starts) {
    const auto slash = topic.find('/');
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const Position start(std::max<std::int64_t>(starts[i], 0));
      logs.starts.push_back({log_of(document.cluster_id, topic.substr(0, slash),
                                    topic.substr(slash + 1), static_cast<std::int32_t>(i)),
                             start,
                             {}});
    }
  }
  logs.starts.push_back({groups_log_name(document.cluster_id), Position(created.value), {}});
}

void add_cut(const ClickHouseDocument& document, vault::PointLogs& logs) {
  const auto& cut = document.cut;
  for (const auto& [group, offsets] : cut.cut) {
    for (const auto& [tp, offset] : offsets) {
      const auto id = cut.topic_ids.find(tp.topic);
      if (id == cut.topic_ids.end()) continue;
      logs.starts.push_back({log_of(cut.cluster_id, id->second, tp.topic, tp.partition.value),
                             Position(offset.value),
                             {}});
    }
  }
}

void add_log_starts(vault::Chunks& chunks, const vault::Vault& vault,
                    const vault::RecoveryPoint& point, vault::PointLogs& logs) {
  bool known = false;
  if (point.stores.contains("kafka")) {
    const auto document = read_kafka_document(chunks, vault, point);
    known = document.starts.has_value();
    if (known) add_kafka_starts(document, point.created, logs);
  }
  if (point.stores.contains("clickhouse")) {
    add_cut(clickhouse_document_from_json(point.stores["clickhouse"]), logs);
  }
  if (!known && (point.stores.contains("kafka") || point.stores.contains("clickhouse"))) {
    logs.silent = {"kafka", "kafka-groups"};
  }
}

// One that cannot be read keeps all of its kind.
void add_all_log_starts(const vault::Vault& vault,
                        const std::vector<const vault::RecoveryPoint*>& points,
                        std::vector<vault::PointLogs>& logs) {
  vault::Chunks chunks(vault);
  for (std::size_t i = 0; i < points.size(); ++i) {
    try {
      add_log_starts(chunks, vault, *points[i], logs[i]);
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::not_found) throw;
      logs[i].silent = {"kafka", "kafka-groups"};
    }
  }
}

vault::PruneOptions options_of(const Context& c, const vault::Vault& vault,
                               const PruneRequest& request) {
  const auto retention = retention_of(c, vault, request);
  vault::PruneOptions options;
  options.policy = retention.points;
  options.grace = retention.grace;
  options.pin_life = retention.keep_for_resume;
  options.drop = request.drop;
  options.unpin = request.unpin;
  options.dry_run = request.dry_run;
  options.nobody_else_writes = request.nobody_else_writes;
  options.only_finish = !c.config.retention && !names_points(request);
  options.host = host_name();
  options.log_starts = [&vault](const auto& points, auto& logs) {
    add_all_log_starts(vault, points, logs);
  };
  options.outside = outside_of;
  options.outside_unfinished = [&c](const vault::UnfinishedPoint& point) {
    return unpublished_backups(c.config, point.id);
  };
  options.remove_outside = [&c](const std::string& name) { remove_backup(c, name); };
  options.progress = [&c](const vault::PruneProgress& p) {
    c.reporter.progress(p.doing, p.done, p.total, "objects");
  };
  return options;
}

// Where nobody archives, or beside whoever does and may not delete: a round of the logbook's
// keeper.
void keep_logbook(const Context& c, const vault::Vault& vault, PruneResult& result) {
  vault::LogbookKeeper keeper(vault, keeper_options(c.config), log_policy(), c.clock, c.random);
  auto kept = keeper.keep({}, c.cancel);
  result.rewritten = kept.rewritten;
  result.removed = kept.removed;
  auto& problems = result.report.problems;
  problems.insert(problems.end(), kept.problems.begin(), kept.problems.end());
}

constexpr Millis kAgain{1000};

}  // namespace

PruneResult prune(const Context& c, const vault::Vault& vault, const PruneRequest& request) {
  auto options = options_of(c, vault, request);
  if (!request.dry_run) ask_if_there_is_space(c, vault.store());
  PruneResult result{vault::prune(vault, options, c.clock, c.random, c.cancel)};
  auto& report = result.report;
  options.only_finish = true;
  options.unpin.clear();  // who pins anew while this one waits was not meant
  while (request.wait && report.due && report.problems.empty()) {
    // What is due and could not be done, as a pin keeps it, say, is not tried without a pause.
    const auto left = std::max(*report.due - c.clock.now(), kAgain.count());
    if (!c.cancel.sleep_for(Millis(std::min<std::int64_t>(left, 60'000)))) break;
    if (*report.due > c.clock.now()) continue;
    auto later = vault::prune(vault, options, c.clock, c.random, c.cancel);
    report.steps = std::move(later.steps);
    report.due = later.due;
    report.problems = std::move(later.problems);
    report.revoked.insert(report.revoked.end(), later.revoked.begin(), later.revoked.end());
    report.unpinned.insert(report.unpinned.end(), later.unpinned.begin(), later.unpinned.end());
  }
  // What verify may not delete.
  if (!request.dry_run) vault::remove_replaced_proofs(vault);
  c.cancel.check();
  if (request.keep_logbook && !request.dry_run) keep_logbook(c, vault, result);
  return result;
}

}  // namespace lifeboat::recovery
