#include "recovery/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "base/error.hpp"
#include "recovery/targets.hpp"

namespace lifeboat::recovery {
namespace {

void check_sections(const Config& config, const std::set<Store>& stores,
                    const vault::RecoveryPoint& point) {
  for (Store store : stores) {
    bool configured = store == Store::postgres     ? config.postgres.has_value()
                      : store == Store::clickhouse ? config.clickhouse.has_value()
                      : store == Store::kafka      ? config.kafka.has_value()
                                                   : config.zookeeper.has_value();
    if (!configured) {
      throw Error(Code::config, config.file.string(),
                  fmt::format("has no section '{}'", to_string(store)),
                  "add it: it says where to restore to");
    }
    if (!point.stores.contains(std::string(to_string(store)))) {
      throw Error(Code::not_found, "point " + point.id,
                  fmt::format("holds nothing of {}", to_string(store)),
                  "`lifeboat points` lists what each point holds; choose another by --point");
    }
  }
  if (stores.contains(Store::postgres) && config.postgres->data_directory.empty()) {
    throw Error(Code::config, config.file.string(), "postgres.data_directory is missing",
                "say where the cluster is to be put");
  }
}

// Seed when lifeboat.yaml names log dirs that can be here: a new broker may not have made its own
// yet. Whether they are all that the new cluster has is seen when its topics stand.
KafkaWay kafka_way(const Config& config, const PlanRequest& request) {
  const auto& dirs = config.kafka->log_dirs;
  const auto here = [](const auto& of) {
    return std::all_of(of.second.begin(), of.second.end(), [](const auto& dir) {
      return std::filesystem::is_directory(dir) || std::filesystem::is_directory(dir.parent_path());
    });
  };
  const bool can = !dirs.empty() && std::all_of(dirs.begin(), dirs.end(), here);
  if (request.kafka == KafkaWay::seed && dirs.empty()) {
    throw Error(Code::config, config.file.string(), "kafka.log_dirs is missing",
                "name each broker's log.dirs there, or restore by --kafka produce");
  }
  return request.kafka.value_or(can ? KafkaWay::seed : KafkaWay::produce);
}

void refuse_occupied(const Plan& plan) {
  for (const auto& target : plan.targets) {
    if (target.found.empty() || plan.overwrite.contains(target.name)) continue;
    throw Error(Code::refused, fmt::format("{} {}", to_string(target.store), target.name),
                fmt::format("is not empty: {}. Nothing was touched", target.found),
                fmt::format("restore into an empty one, or, to give up what is there, add "
                            "--overwrite '{}'",
                            target.name));
  }
}

using Add = std::function<void(Store store, const char* name, const char* title)>;

void add_zookeeper_steps(const Add& add, bool clickhouse_lives, bool kafka_lives) {
  if (kafka_lives && clickhouse_lives) {
    add(Store::zookeeper, "zookeeper-hold-clickhouse", "Hold ClickHouse, detach its Kafka tables");
  }
  if (kafka_lives) {
    add(Store::zookeeper, "zookeeper-brokers-stopped", "Wait until Kafka's brokers are stopped");
  }
  add(Store::zookeeper, "zookeeper-wait", "Wait for an empty ZooKeeper");
  add(Store::zookeeper, "zookeeper-tree", "Write ZooKeeper's tree");
  if (kafka_lives) add(Store::zookeeper, "zookeeper-kafka", "Wait for Kafka's brokers");
  if (kafka_lives && clickhouse_lives) {
    add(Store::zookeeper, "zookeeper-release-clickhouse", "Let ClickHouse consume again");
  }
}

void add_kafka_steps(const Add& add, bool clickhouse_lives, KafkaWay way) {
  if (clickhouse_lives) {
    add(Store::kafka, "kafka-hold-clickhouse", "Hold ClickHouse and take its positions");
  }
  add(Store::kafka, "kafka-wait", "Wait for an empty Kafka");
  if (clickhouse_lives) {
    add(Store::kafka, "kafka-detach-clickhouse", "Prove the positions, detach the Kafka tables");
  }
  add(Store::kafka, "kafka-topics", "Create the topics");
  if (way == KafkaWay::seed) {
    add(Store::kafka, "seed-stop", "Find the partitions' folders");
    add(Store::kafka, "seed-write", "Wait until the brokers are stopped, write the folders");
    add(Store::kafka, "seed-start", "Wait for the brokers");
    add(Store::kafka, "seed-verify", "Read everything back, compare with the logbook");
    add(Store::kafka, "kafka-cursors", "Set the groups' cursors");
  } else {
    add(Store::kafka, "kafka-batches", "Produce the logbook's batches");
    add(Store::kafka, "kafka-cursors", "Set the groups' cursors, translated");
  }
  add(Store::kafka, "kafka-configs", "Put the topics' configurations back");
  if (clickhouse_lives) {
    add(Store::kafka, "kafka-release-clickhouse", "Let ClickHouse consume again");
  }
}

void add_clickhouse_steps(const Add& add, bool fill) {
  add(Store::clickhouse, "clickhouse-wait", "Wait for an empty ClickHouse");
  add(Store::clickhouse, "clickhouse-check", "Check the backup's files");
  add(Store::clickhouse, "clickhouse-hold-groups", "Hold the consumer groups closed");
  if (fill) add(Store::kafka, "fill-retention", "Let Kafka delete no more of what is missing");
  add(Store::clickhouse, "clickhouse-data", "Restore the tables");
  if (!fill) add(Store::clickhouse, "clickhouse-cursors", "Set the cursors to the cut");
  add(Store::clickhouse, "clickhouse-views", "Create the views");
  if (fill) {
    add(Store::kafka, "fill-topics", "Produce what Kafka has deleted into topics of their own");
    add(Store::clickhouse, "fill-consume", "Let ClickHouse consume them, as the original topics");
    add(Store::clickhouse, "fill-check", "Count what came through, remove the helpers");
    add(Store::clickhouse, "clickhouse-cursors", "Set the cursors to where that ends");
  }
  add(Store::clickhouse, "clickhouse-kafka-tables", "Create the Kafka tables");
  add(Store::clickhouse, "clickhouse-release", "Let ClickHouse into its groups");
  add(Store::clickhouse, "clickhouse-consume", "Wait until consumption passes the cut");
  if (fill) add(Store::kafka, "fill-clean", "Delete these topics, put retention back");
}

}  // namespace

std::vector<PlannedStep> steps_for(const std::set<Store>& stores, bool clickhouse_lives,
                                   bool kafka_lives, bool fill, KafkaWay kafka) {
  std::vector<PlannedStep> steps;
  const Add add = [&](Store store, const char* name, const char* title) {
    steps.push_back({name, store, title});
  };
  if (stores.contains(Store::postgres)) {
    add(Store::postgres, "postgres-data", "Write PostgreSQL's data directory");
    add(Store::postgres, "postgres-recovery", "Set up recovery from the logbook's WAL");
  }
  if (stores.contains(Store::zookeeper)) add_zookeeper_steps(add, clickhouse_lives, kafka_lives);
  if (stores.contains(Store::kafka)) add_kafka_steps(add, clickhouse_lives, kafka);
  if (stores.contains(Store::clickhouse)) add_clickhouse_steps(add, fill);
  if (stores.contains(Store::postgres)) {
    add(Store::postgres, "postgres-wait", "Wait until PostgreSQL has recovered");
  }
  return steps;
}

Plan make_plan(const Context& c, const vault::Vault& vault, const PlanRequest& request) {
  auto point = vault::resolve_point(vault, request.point);
  check_sections(c.config, request.stores, point);
  Plan plan;
  plan.made = c.clock.now();
  plan.id = vault::make_point_id(c.clock, c.random);
  plan.vault_id = vault.id();
  plan.point = point.id;
  plan.stores = request.stores;
  plan.to = request.to;
  plan.overwrite = request.overwrite;
  bool clickhouse_lives = c.config.clickhouse && !request.stores.contains(Store::clickhouse);
  bool kafka_lives = c.config.kafka && !request.stores.contains(Store::kafka);
  plan.accept_loss = request.accept_loss;
  if (request.stores.contains(Store::kafka)) plan.kafka = kafka_way(c.config, request);
  plan.targets = look_at_targets(c, vault, point, request.stores);
  refuse_occupied(plan);
  const auto foreseen = foresee(c, vault, point, plan);
  plan.warnings = foreseen.warnings;
  plan.point_only = foreseen.point_only;
  plan.steps = steps_for(request.stores, clickhouse_lives, kafka_lives, foreseen.fill, plan.kafka);
  return plan;
}

bool follows_logs(const Plan& plan) {
  return plan.stores.contains(Store::kafka) || plan.stores.contains(Store::clickhouse) ||
         (plan.stores.contains(Store::postgres) && !plan.point_only);
}

}  // namespace lifeboat::recovery
