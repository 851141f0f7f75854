#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "recovery/context.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {

enum class Store { postgres, clickhouse, kafka, zookeeper };
std::string_view to_string(Store store);
// How a lost Kafka comes back. Seed: partitions written into the log dirs of stopped brokers, with
// their original offsets. Produce: sent to running brokers, with new offsets.
enum class KafkaWay { produce, seed };
std::string_view to_string(KafkaWay way);
std::optional<KafkaWay> parse_kafka_way(std::string_view name);

std::optional<Store> parse_store(std::string_view name);  // nullopt: no store's name

struct PlanRequest {
  std::set<Store> stores;           // what is to be restored
  std::string point = "latest";     // as vault::resolve_point() takes it
  std::optional<Timestamp> to;      // PostgreSQL: up to this time; else the end of the WAL
  std::set<std::string> overwrite;  // names of targets that may hold something (see Target)
  bool accept_loss = false;         // of events that neither Kafka nor the logbook holds
  std::optional<KafkaWay> kafka;    // else: seed when lifeboat.yaml names log dirs that are here
};

// A thing that is written into, with the name that allows overwriting it.
struct Target {
  Store store;
  std::string name;   // data directory, "host:port" of ZooKeeper and Kafka, URL of ClickHouse
  std::string found;  // what is there already; empty: nothing, or not reachable yet
};

struct PlannedStep {
  std::string name;  // "clickhouse-data"; unique within a plan
  Store store;
  std::string title;  // one sentence for the operator
};

// What a restore will do. A value: made from the point, the logbook and the world, printed, saved,
// and compared with the world again before each step of apply().
struct Plan {
  std::string id;
  Timestamp made;
  std::string vault_id;
  std::string point;  // id
  std::set<Store> stores;
  std::optional<Timestamp> to;
  bool point_only = false;  // PostgreSQL ends with the point itself: later WAL was pruned
  std::set<std::string> overwrite;
  bool accept_loss = false;
  KafkaWay kafka = KafkaWay::produce;
  std::vector<PlannedStep> steps;
  std::vector<Target> targets;
  std::vector<std::string> warnings;  // what will be lost or is only bounded
};

// Error(refused) when a target is not empty and not named in `overwrite`; not_found when the point
// lacks a store; config when lifeboat.yaml does. A target that is down is no error: its step waits.
Plan make_plan(const Context& context, const vault::Vault& vault, const PlanRequest& request);

// The steps for these stores, in order. `fill`: Kafka lives and has deleted what ClickHouse's cut
// needs; it comes from the logbook. Pure.
std::vector<PlannedStep> steps_for(const std::set<Store>& stores, bool clickhouse_lives,
                                   bool kafka_lives, bool fill = false,
                                   KafkaWay kafka = KafkaWay::produce);

// It reads the logs beyond what makes the point's snapshots consistent.
bool follows_logs(const Plan& plan);

nlohmann::json to_json(const Plan& plan);
Plan plan_from_json(const nlohmann::json& json);  // Error(corrupt), Error(unsupported)
std::string describe(const Plan& plan);           // for people

}  // namespace lifeboat::recovery
