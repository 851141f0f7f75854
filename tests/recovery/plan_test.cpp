#include "recovery/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"

namespace lifeboat::recovery {
namespace {

std::vector<std::string> names(const std::vector<PlannedStep>& steps) {
  std::vector<std::string> out;
  for (const auto& s : steps) out.push_back(s.name);
  return out;
}

std::size_t at(const std::vector<std::string>& names, const std::string& name) {
  auto it = std::find(names.begin(), names.end(), name);
  EXPECT_NE(it, names.end()) << name;
  return static_cast<std::size_t>(it - names.begin());
}

const std::set<Store> kAll = {Store::postgres, Store::clickhouse, Store::kafka, Store::zookeeper};

TEST(Steps, CursorsComeBeforeViewsAndKafkaTablesLast) {
  auto order = names(steps_for({Store::clickhouse}, false, true));
  EXPECT_LT(at(order, "clickhouse-hold-groups"), at(order, "clickhouse-data"));
  EXPECT_LT(at(order, "clickhouse-data"), at(order, "clickhouse-cursors"));
  EXPECT_LT(at(order, "clickhouse-cursors"), at(order, "clickhouse-views"));
  EXPECT_LT(at(order, "clickhouse-views"), at(order, "clickhouse-kafka-tables"));
  EXPECT_LT(at(order, "clickhouse-kafka-tables"), at(order, "clickhouse-release"));
}

TEST(Steps, WhatKafkaHasDeletedComesBeforeTheCursorsAndTheKafkaTables) {
  auto order = names(steps_for({Store::clickhouse}, false, true, true));
  EXPECT_LT(at(order, "clickhouse-hold-groups"), at(order, "fill-retention"));
  EXPECT_LT(at(order, "fill-retention"), at(order, "clickhouse-data"));
  EXPECT_LT(at(order, "clickhouse-views"), at(order, "fill-topics"));
  EXPECT_LT(at(order, "fill-topics"), at(order, "fill-consume"));
  EXPECT_LT(at(order, "fill-check"), at(order, "clickhouse-cursors"));
  EXPECT_LT(at(order, "clickhouse-cursors"), at(order, "clickhouse-kafka-tables"));
  EXPECT_LT(at(order, "clickhouse-consume"), at(order, "fill-clean"));
}

TEST(Steps, SeedingStopsTheBrokersBetweenTopicsAndCursors) {
  auto order = names(steps_for({Store::kafka}, true, false, false, KafkaWay::seed));
  EXPECT_LT(at(order, "kafka-detach-clickhouse"), at(order, "kafka-topics"));
  EXPECT_LT(at(order, "kafka-topics"), at(order, "seed-stop"));
  EXPECT_LT(at(order, "seed-write"), at(order, "seed-start"));
  EXPECT_LT(at(order, "seed-verify"), at(order, "kafka-cursors"));
  EXPECT_LT(at(order, "kafka-cursors"), at(order, "kafka-configs"));
  EXPECT_EQ(std::count(order.begin(), order.end(), "kafka-batches"), 0);
}

TEST(Steps, ALivingClickHouseIsKeptAwayFromARestoredKafka) {
  auto order = names(steps_for({Store::kafka}, true, false));
  EXPECT_LT(at(order, "kafka-hold-clickhouse"), at(order, "kafka-wait"));
  EXPECT_LT(at(order, "kafka-wait"), at(order, "kafka-detach-clickhouse"));
  EXPECT_LT(at(order, "kafka-detach-clickhouse"), at(order, "kafka-topics"));
  EXPECT_LT(at(order, "kafka-cursors"), at(order, "kafka-release-clickhouse"));
  auto without = names(steps_for({Store::kafka}, false, false));
  EXPECT_EQ(std::count(without.begin(), without.end(), "kafka-hold-clickhouse"), 0);
}

TEST(Plans, OnlyPostgresAsThePointHasItNeedsNoLogs) {
  Plan plan;
  plan.stores = {Store::postgres};
  EXPECT_TRUE(follows_logs(plan));
  plan.point_only = true;
  EXPECT_FALSE(follows_logs(plan));
  plan.stores.insert(Store::zookeeper);
  EXPECT_FALSE(follows_logs(plan));
  plan.stores.insert(Store::kafka);
  EXPECT_TRUE(follows_logs(plan));
  plan.stores = {Store::clickhouse};
  EXPECT_TRUE(follows_logs(plan));
}

TEST(Steps, BrokersAreStoppedBeforeAnEmptyZooKeeperStarts) {
  auto order = names(steps_for({Store::zookeeper}, true, true));
  EXPECT_LT(at(order, "zookeeper-hold-clickhouse"), at(order, "zookeeper-brokers-stopped"));
  EXPECT_LT(at(order, "zookeeper-brokers-stopped"), at(order, "zookeeper-wait"));
  EXPECT_LT(at(order, "zookeeper-tree"), at(order, "zookeeper-kafka"));
  EXPECT_LT(at(order, "zookeeper-kafka"), at(order, "zookeeper-release-clickhouse"));
}

TEST(Steps, AWholeSiteComesBackInTheOrderInWhichStoresNeedEachOther) {
  auto order = names(steps_for(kAll, false, false));
  EXPECT_LT(at(order, "zookeeper-tree"), at(order, "kafka-wait"));
  EXPECT_LT(at(order, "kafka-batches"), at(order, "clickhouse-cursors"));
  EXPECT_LT(at(order, "postgres-recovery"), at(order, "postgres-wait"));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
}

Plan sample() {
  Plan plan;
  plan.id = "20261122T170506123Z-3f9a";
  plan.made = Timestamp(1795367106123);
  plan.vault_id = "v";
  plan.point = "p";
  plan.stores = kAll;
  plan.to = Timestamp(1795367100000);
  plan.overwrite = {"/data"};
  plan.steps = steps_for(kAll, false, false);
  plan.targets = {{Store::postgres, "/data", "files"}};
  plan.warnings = {"w"};
  return plan;
}

TEST(PlanJson, RoundTrip) {
  auto json = to_json(sample());
  EXPECT_EQ(to_json(plan_from_json(json)), json);
}

TEST(PlanJson, EachMissingMemberIsRefused) {
  auto whole = to_json(sample());
  for (const auto& [key, value] : whole.items()) {
    if (key == "to") continue;  // may be absent
    auto torn = whole;
    torn.erase(key);
    EXPECT_THROW(plan_from_json(torn), Error) << key;
  }
  auto newer = whole;
  newer["version"] = 2;
  EXPECT_THROW(plan_from_json(newer), Error);
  auto elsewhere = whole;
  elsewhere["id"] = "../../etc/passwd";
  EXPECT_THROW(plan_from_json(elsewhere), Error);
}

TEST(PlanText, SaysWhatIsOverwritten) {
  EXPECT_NE(describe(sample()).find("OVERWRITING files"), std::string::npos);
}

TEST(Stores, NamesRoundTrip) {
  for (Store s : kAll) EXPECT_EQ(parse_store(to_string(s)), s);
  EXPECT_FALSE(parse_store("mysql"));
}

}  // namespace
}  // namespace lifeboat::recovery
