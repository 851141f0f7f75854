#include "recovery/living_positions.hpp"

#include <gtest/gtest.h>

namespace lifeboat::recovery {
namespace {

using clickhouse::TableRef;

clickhouse::SchemaGraph graph_of(const std::string& topic) {
  clickhouse::SchemaGraph graph;
  clickhouse::KafkaTable table;
  table.ref = {"db", "queue"};
  table.topics = {topic};
  table.group = "group";
  graph.kafka_tables.push_back(std::move(table));
  return graph;
}

clickhouse::ConsumerPosition at(std::int32_t partition, std::optional<std::int64_t> offset) {
  clickhouse::ConsumerPosition out{{"db", "queue"}, {"events", PartitionId(partition)}, {}};
  if (offset) out.current = Offset(*offset);
  return out;
}

kafka::TopicPartition events(std::int32_t partition) {
  return {"events", PartitionId(partition)};
}

const GroupOffsets kSample = {{"group", {{events(0), Offset(100)}, {events(1), Offset(50)}}},
                              {"other", {{events(0), Offset(7)}}}};

TEST(LivingPositions, WhatConsumersSayGoesBeforeTheSample) {
  auto found = living_positions(graph_of("events"), {{at(0, 120), at(1, {})}, 0, true}, kSample);
  const GroupOffsets wanted = {{"group", {{events(0), Offset(120)}, {events(1), Offset(50)}}}};
  EXPECT_EQ(found.offsets, wanted) << "of partition 1 nothing was read since it was assigned";
  EXPECT_TRUE(found.only_sampled.empty());
}

TEST(LivingPositions, PartitionsWithoutAConsumerAreTold) {
  auto found = living_positions(graph_of("events"), {{at(0, 120)}, 0, true}, kSample);
  EXPECT_EQ(found.offsets.at("group").at(events(1)), Offset(50));
  EXPECT_EQ(found.only_sampled, std::set<std::string>{"group events/1"});
  found = living_positions(graph_of("events"), {}, kSample);
  EXPECT_EQ(found.only_sampled.size(), 2u) << "the consumers were closed";
}

TEST(LivingPositions, WhatNoTableReadsIsNotMissed) {
  auto found = living_positions(graph_of("others"), {}, kSample);
  EXPECT_EQ(found.offsets.at("group"), kSample.at("group"));
  EXPECT_TRUE(found.only_sampled.empty());
}

TEST(LivingPositions, WithoutASampleOnlyTheConsumersTell) {
  auto found = living_positions(graph_of("events"), {{at(0, 120)}, 0, true}, std::nullopt);
  const GroupOffsets wanted = {{"group", {{events(0), Offset(120)}}}};
  EXPECT_EQ(found.offsets, wanted);
  EXPECT_TRUE(found.only_sampled.empty());
}

}  // namespace
}  // namespace lifeboat::recovery
