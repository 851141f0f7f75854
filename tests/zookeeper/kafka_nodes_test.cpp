#include "zookeeper/kafka_nodes.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace lifeboat::zookeeper {
namespace {

using nlohmann::json;

Znode node(std::string path, std::string data) {
  Znode n;
  n.path = std::move(path);
  n.data = std::move(data);
  n.acl = {{"world", "anyone", 31}};
  return n;
}

TEST(KafkaNodes, KnowsItsOwn) {
  for (const char* path :
       {"/brokers", "/brokers/topics/ev/partitions/0/state", "/controller_epoch", "/config/users/x",
        "/kafka-acl-extended/prefixed/Topic/t", "/latest_producer_id_block"}) {
    EXPECT_TRUE(is_kafka_path(path)) << path;
    EXPECT_TRUE(is_kafka_path(std::string("/a/kafka") + path, "/a/kafka")) << path;
    EXPECT_FALSE(is_kafka_path(path, "/kafka")) << path;
  }
  for (const char* path : {"/", "/clickhouse/tables", "/brokers2", "/config2/x", "/kafka"}) {
    EXPECT_FALSE(is_kafka_path(path)) << path;
  }
}

TEST(KafkaNodes, SkeletonIsWhatBrokersMakeNotWhatUsersMade) {
  for (const char* path : {"/brokers", "/brokers/ids", "/brokers/topics", "/cluster/id",
                           "/controller_epoch", "/feature", "/config/topics"}) {
    EXPECT_TRUE(kafka_skeleton(path)) << path;
    EXPECT_TRUE(kafka_skeleton(std::string("/k") + path, "/k")) << path;
  }
  EXPECT_TRUE(kafka_skeleton("/a", "/a/b"));
  EXPECT_TRUE(kafka_skeleton("/a/b", "/a/b"));
  for (const char* path : {"/brokers/topics/ev", "/config/topics/ev", "/config/users/bob",
                           "/kafka-acl/Topic/ev", "/clickhouse", "/consumers/g"}) {
    EXPECT_FALSE(kafka_skeleton(path)) << path;
  }
  EXPECT_FALSE(kafka_skeleton("/ab", "/a/b"));
}

TEST(KafkaNodes, LeavesOutWhatHasPassedAndWhatWasOrdered) {
  for (const char* path :
       {"/admin/delete_topics/ev", "/admin/reassign_partitions",
        "/admin/preferred_replica_election", "/isr_change_notification/isr_change_0000000001",
        "/config/changes/config_change_0000000000", "/kafka-acl-changes/acl_changes_0000000000",
        "/controller", "/log_dir_event_notification/log_dir_event_0000000000"}) {
    EXPECT_FALSE(kafka_keeps(path)) << path;
    EXPECT_FALSE(kafka_keeps(std::string("/k") + path, "/k")) << path;
    EXPECT_TRUE(kafka_keeps(path, "/k")) << path;
  }
  for (const char* path : {"/", "/admin", "/admin/delete_topics", "/isr_change_notification",
                           "/brokers/ids", "/config/topics/ev", "/controller_epoch"}) {
    EXPECT_TRUE(kafka_keeps(path)) << path;
  }
}

TEST(KafkaNodes, MovesProducerIdsPastEveryBlockThatWasGivenOut) {
  const auto moved =
      kafka_moved_ahead(node("/latest_producer_id_block",
                             R"({"version":1,"broker":2,"block_start":"4000","block_end":"4999"})"),
                        "", {.producer_ids = 1'000'000});
  const json block = json::parse(moved.value());
  EXPECT_EQ(block["block_start"], "1004000");
  EXPECT_EQ(block["block_end"], "1004999");
  EXPECT_EQ(block["version"], 1);
  EXPECT_EQ(block["broker"], 2);
}

TEST(KafkaNodes, MovesProducerIdsAheadAlsoBeforeTheFirstBlock) {
  const json block = json::parse(
      kafka_moved_ahead(node("/latest_producer_id_block", ""), "", {.producer_ids = 5000}).value());
  EXPECT_EQ(block["block_start"], "5000");
  EXPECT_EQ(block["block_end"], "5999");
}

TEST(KafkaNodes, MovesEpochsAheadAndKeepsTheRest) {
  const KafkaMargins margins{.leader_epochs = 100, .controller_epochs = 10};
  EXPECT_EQ(kafka_moved_ahead(node("/k/controller_epoch", "7"), "/k", margins), "17");
  const json state = json::parse(
      kafka_moved_ahead(
          node("/k/brokers/topics/ev/partitions/3/state",
               R"({"controller_epoch":7,"leader":1,"version":1,"leader_epoch":5,"isr":[1,2]})"),
          "/k", margins)
          .value());
  EXPECT_EQ(
      state,
      json::parse(
          R"({"controller_epoch":17,"leader":1,"version":1,"leader_epoch":105,"isr":[1,2]})"));
}

TEST(KafkaNodes, TouchesNothingElse) {
  for (const char* path : {"/brokers/topics/state", "/brokers/topics/ev/partitions/3",
                           "/config/topics/state", "/clickhouse/state", "/cluster/id"}) {
    EXPECT_FALSE(kafka_moved_ahead(node(path, "{}"))) << path;
  }
  EXPECT_FALSE(kafka_moved_ahead(node("/controller_epoch", "1"), "/k"));
}

TEST(KafkaNodes, RefusesWhatKafkaWouldNotWrite) {
  const std::string state = "/brokers/topics/ev/partitions/0/state";
  const std::string block = "/latest_producer_id_block";
  const auto deep = std::string(200'000, '[') + std::string(200'000, ']');
  const std::pair<std::string, std::string> bad[] = {
      {state, R"({"version":1,"leader_epoch":1,"controller_epoch":1,"isr":)" + deep + "}"},
      {"/controller_epoch", ""},
      {"/controller_epoch", "x"},
      {"/controller_epoch", "-1"},
      {"/controller_epoch", "1 "},
      {"/controller_epoch", "99999999999"},
      {"/controller_epoch", "2147483000"},
      {state, ""},
      {state, "[]"},
      {state, "{"},
      {state, R"({"version":2,"leader_epoch":1,"controller_epoch":1})"},
      {state, R"({"version":1,"controller_epoch":1})"},
      {state, R"({"version":1,"leader_epoch":"1","controller_epoch":1})"},
      {state, R"({"version":1,"leader_epoch":-3,"controller_epoch":1})"},
      {block, R"({"version":1,"broker":0})"},
      {block, R"({"version":1,"broker":0,"block_start":"5","block_end":"3"})"},
      {block, R"({"version":1,"broker":0,"block_start":"0","block_end":"9223372036854775807"})"},
      {block, R"({"version":1,"broker":0,"block_start":0,"block_end":999})"},
  };
  for (const auto& [path, data] : bad) {
    EXPECT_THROW(kafka_moved_ahead(node(path, data)), Error) << path << " = " << data;
  }
}

}  // namespace
}  // namespace lifeboat::zookeeper
