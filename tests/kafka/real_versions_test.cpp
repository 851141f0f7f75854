#include <gtest/gtest.h>

#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"
#include "kafka/group_hold.hpp"
#include "kafka/kraft_stack.hpp"
#include "kafka/raw_producer.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/transaction_scan.hpp"

namespace lifeboat::kafka::test {
namespace {

// What Lifeboat asks of Kafka, of brokers under KRaft. (The other tests run under ZooKeeper.)
class RealVersions : public testing::TestWithParam<std::string> {
 protected:
  lifeboat::test::StackProcess& stack = kraft_stack(GetParam());
  Config config = config_of(stack);
  Admin admin{config, Clock::real()};
  Cluster cluster{config, Clock::real()};
  const Cancel never;

  std::filesystem::path data() const { return stack.info()["kafka"]["data"].get<std::string>(); }
  TopicPartition make_topic(const std::string& prefix) {
    const TopicPartition tp{fresh_name(prefix), PartitionId(0)};
    admin.create_topic(tp.topic, 1, 1, {});
    return tp;
  }
  Offset end_of(const TopicPartition& tp) { return cluster.offsets({tp}).at(tp).high_watermark; }
};

TEST_P(RealVersions, WhatIsFetchedIsWhatLiesOnDiskAndCanBeProducedAgain) {
  const auto from = make_topic("from");
  const auto to = make_topic("to");
  TransactionWriter transactions(config);
  for (const char* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    produce(config, from, {.records = 300, .codec = codec, .text = codec});
    transactions.write(from, 7, Ending::abort);
    transactions.write(from, 5, Ending::commit);
  }
  RememberingSink sink;
  RunningFetcher fetcher(config, from.topic, sink);
  const auto end = end_of(from);
  ASSERT_TRUE(wait_until([&] { return sink.reached(from, end); }));
  const auto log = sink.log(from)->bytes;
  EXPECT_TRUE(log == segment_bytes(data(), from));

  TransactionScan scan;
  const auto split = split_batches(log);
  for (const auto& batch : split.batches) scan.add(batch);
  const ReplayFilter filter(scan.finish());
  RawProducer producer(config, Clock::real());
  for (const auto& batch : split.batches) {
    if (filter.decide(batch) == Replay::keep) producer.produce(to, std::string(batch.bytes()), {});
  }
  producer.flush(never);
  const auto before = consume(config, from);
  const auto after = consume(config, to);
  ASSERT_EQ(before.size(), 5u * 305);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].second, after[i].second);
}

TEST_P(RealVersions, GroupsAreReadMovedHeldAndTakenApart) {
  const auto tp = make_topic("group");
  const auto group = fresh_name("members");
  produce(config, tp, {.records = 50});
  admin.alter_offsets(group, {{tp, Offset(11)}});
  EXPECT_EQ(admin.committed(group).at(tp), Offset(11));
  {
    GroupHold hold(config, group, {tp.topic}, EvictOthers::no, never, Deadline::never(),
                   Clock::real());
    hold.commit({{tp, Offset(23)}});
    hold.check();
    EXPECT_EQ(admin.describe(group).members.size(), 1u);
  }
  EXPECT_EQ(admin.committed(group).at(tp), Offset(23));
  {
    GroupConsumer consumer(config, group, tp.topic, "range");
    ASSERT_TRUE(wait_until([&] { return admin.describe(group).members.size() == 1; }));
    const auto member = admin.describe(group).members.front();
    EXPECT_TRUE(admin.evict(group, member.member_id));
    EXPECT_FALSE(admin.evict(group, member.member_id + "x"));
  }
  ASSERT_TRUE(wait_until([&] {
    for (const auto& member : admin.describe(group).members) admin.evict(group, member.member_id);
    return admin.describe(group).state == GroupState::empty;
  }));
  EXPECT_TRUE(admin.delete_group(group));
}

TEST_P(RealVersions, TopicsAreConfiguredAndAllOfATopicIsSeen) {
  const auto tp = make_topic("config");
  admin.set_topic_configs(tp.topic, {{"retention.ms", "123456"}});
  EXPECT_TRUE(wait_until([&] {
    return admin.topic_configs(tp.topic) ==
           std::map<std::string, std::string>{{"retention.ms", "123456"}};
  }));
  produce(config, tp, {.records = 100});
  delete_records(config, tp, Offset(40));
  const auto offsets = cluster.offsets({tp}).at(tp);
  EXPECT_EQ(offsets.log_start, Offset(40));
  EXPECT_EQ(offsets.high_watermark, Offset(100));
  EXPECT_TRUE(admin.delete_topic(tp.topic));
}

TEST_P(RealVersions, InternalTopicsAreFetchedOnlyWhenTheyAreNamed) {
  const auto tp = make_topic("plain");
  for (int i = 0; i < 20; ++i) {
    admin.alter_offsets("committed-" + std::to_string(i), {{tp, Offset(i)}});
  }
  RememberingSink by_pattern;
  RememberingSink by_name;
  RunningFetcher some(config, FetchOptions{.include = {"*", "__*"}, .exclude = {"from*"}},
                      by_pattern);
  RunningFetcher all(config, FetchOptions{.include = {"plain*", "__consumer_offsets"}}, by_name);
  const auto info = cluster.metadata();
  ASSERT_NE(info.topic("__consumer_offsets"), nullptr);
  std::size_t bytes = 0;
  for (const auto& partition : info.topic("__consumer_offsets")->partitions) {
    const TopicPartition offsets{"__consumer_offsets", partition.id};
    const auto end = end_of(offsets);
    ASSERT_TRUE(wait_until([&] { return by_name.reached(offsets, end); })) << to_string(offsets);
    EXPECT_TRUE(by_name.log(offsets)->bytes == segment_bytes(data(), offsets));
    bytes += by_name.log(offsets)->bytes.size();
  }
  EXPECT_GT(bytes, 20u * 61);
  ASSERT_TRUE(wait_until([&] { return by_pattern.log(tp).has_value(); }));
  for (const auto& [log, _] : by_pattern.logs()) {
    EXPECT_FALSE(log.topic.starts_with("__")) << log.topic;
    EXPECT_FALSE(log.topic.starts_with("from")) << log.topic;
  }
}

INSTANTIATE_TEST_SUITE_P(Kraft, RealVersions, testing::Values("3.9", "4"),
                         [](const auto& kind) { return kind.param == "4" ? "v4" : "v3_9"; });

}  // namespace
}  // namespace lifeboat::kafka::test
