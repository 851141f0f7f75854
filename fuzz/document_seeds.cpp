#include "fuzz/subjects.hpp"
#include "kafka/range_facts.hpp"
#include "kafka/record_batch.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/extent_attributes.hpp"
#include "recovery/kafka_document.hpp"
#include "recovery/plan.hpp"
#include "store/capabilities.hpp"
#include "vault/known_locks.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::fuzz {
namespace {

using Seeds = std::vector<std::string>;

Seeds attribute_seeds() {
  const auto stored = captured_batches();
  Seeds texts;
  for (const auto& batches :
       {stored[0], stored[5], stored[5] + stored[6], stored[6], stored[7], stored[7] + stored[8]}) {
    const auto facts = kafka::facts_of(kafka::split_batches(batches).batches);
    texts.push_back(recovery::to_attributes(facts));
    if (recovery::parse_attributes(texts.back()) != facts) broken("facts do not come back");
  }
  Seeds seeds;
  for (const auto& first : texts) {
    for (const auto& second : texts) seeds.push_back(first + '\n' + second);
  }
  return seeds;
}

Seeds log_name_seeds() {
  return {"kafka/ci9YVq8TR_a2LZ5wWwmvZw/9eQ6Xx0sT0mM2dWvP0j6rw/events/12",
          "kafka/ci9YVq8TR_a2LZ5wWwmvZw/9eQ6Xx0sT0mM2dWvP0j6rw/events/0/epoch-17",
          "postgres/7301234567890123456/0000001F", "postgres-history/7301234567890123456/00000002"};
}

Seeds document_seeds() {
  recovery::KafkaDocument kafka;
  kafka.cluster_id = "c";
  kafka.topics = {{"events", "9eQ6Xx0sT0mM2dWvP0j6rw", 4, 1, {{"retention.ms", "1"}}}};
  kafka.groups["g"][{"events", PartitionId(2)}] = Offset(17);
  kafka.groups["empty"];
  Seeds seeds{std::string(1, '\0') + to_json(kafka).dump()};
  kafka.starts = {{"9eQ6Xx0sT0mM2dWvP0j6rw/events", {0, -1, 7}}};
  seeds.push_back(std::string(1, '\0') + to_json(kafka).dump());
  recovery::ClickHouseDocument house;
  house.snapshot.digest = sha256("x");
  house.disk = "backups";
  house.backup = "lifeboat-20261122T170506123Z-0123";
  house.cut = {true, kafka.groups, {}, "c", {{"events", "9eQ6Xx0sT0mM2dWvP0j6rw"}}};
  house.held_seconds = 0.25;
  seeds.push_back('\1' + to_json(house).dump());
  house.cut.exact = false;
  house.cut.upper = kafka.groups;
  seeds.push_back('\1' + to_json(house).dump());
  seeds.push_back('\2' + recovery::to_json(kafka.groups).dump());
  const recovery::SavedFile file{"data/db/t/all_1_1_0/data.bin", ByteCount(12), sha256("y")};
  seeds.push_back('\3' + encode(file));
  return seeds;
}

Seeds plan_seeds() {
  recovery::Plan plan;
  plan.id = "20261122T170506123Z-0123";
  plan.made = Timestamp(1);
  plan.vault_id = std::string(32, 'a');
  plan.point = "20261122T170506123Z-0124";
  plan.stores = {recovery::Store::zookeeper};
  Seeds seeds{to_json(plan).dump()};
  plan.stores = {recovery::Store::postgres, recovery::Store::kafka, recovery::Store::clickhouse};
  plan.to = Timestamp(5);
  plan.point_only = plan.accept_loss = true;
  plan.overwrite = {"db:9000"};
  plan.kafka = recovery::KafkaWay::seed;
  plan.steps = {{"kafka-wait", recovery::Store::kafka, "Wait for an empty Kafka"}};
  plan.targets = {{recovery::Store::clickhouse, "http://db:8123", "3 tables"}};
  plan.warnings = {"the cut is bounded"};
  seeds.push_back(to_json(plan).dump());
  return seeds;
}

Seeds znode_seeds() {
  zookeeper::Znode node;
  node.path = "/brokers/topics/events";
  node.data = R"({"version":3,"partitions":{"0":[1]}})";
  node.acl = {{"world", "anyone", 31}, {"digest", "user:0dWZ3n3o=", 1}};
  node.created = zookeeper::Zxid(7);
  node.modified = zookeeper::Zxid(8);
  node.version = 2;
  const auto line = zookeeper::encode(node);
  node.path = "/brokers";
  node.data.clear();
  return {std::string(1, '\0') + line,
          '\1' + zookeeper::encode(node) + line,
          std::string(1, '\2'),
          "\2{\"version\":1,\"broker\":0,\"block_start\":\"3000\",\"block_end\":\"3999\"}",
          "\3"
          "12",
          "\4{\"controller_epoch\":1,\"leader\":1,\"version\":1,\"leader_epoch\":0,\"isr\":[1]}"};
}

Seeds capability_seeds() {
  return {store::encode({true, true, ""}),
          store::encode({true, false, "an object that had changed was replaced all the same"})};
}

Seeds lock_seeds() {
  const vault::KnownLocks locks{{"packs/20261122T170506123Z-0000000000000000", Timestamp(1)},
                                {"vault", Timestamp(INT64_MAX)}};
  return {vault::encode_locks(locks, std::string(32, 'a'))};
}

}  // namespace

std::vector<Subject> document_subjects() {
  return {{"attributes", attributes, attribute_seeds, "", kFewInputs},
          {"log_names", log_names, log_name_seeds},
          {"documents", documents, document_seeds, "", kFewInputs},
          {"plans", plans, plan_seeds, "", kFewInputs},
          {"znodes", znodes, znode_seeds, "", kFewInputs},
          {"capabilities", capabilities, capability_seeds, "", kFewInputs},
          {"known_locks", known_locks, lock_seeds}};
}

}  // namespace lifeboat::fuzz
