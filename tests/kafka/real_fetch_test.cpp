#include <gtest/gtest.h>

#include "base/error.hpp"
#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/transaction_scan.hpp"

namespace lifeboat::kafka::test {
namespace {

using lifeboat::test::StackProcess;

class RealFetch : public testing::Test {
 protected:
  StackProcess& stack = StackProcess::shared({"kafka"});
  Config config = config_of(stack);
  Admin admin{config, Clock::real()};
  Cluster cluster{config, Clock::real()};
  RememberingSink sink;

  std::string make_topic(const std::string& prefix, int partitions,
                         const std::map<std::string, std::string>& configs = {}) {
    const auto topic = fresh_name(prefix);
    admin.create_topic(topic, partitions, 1, configs);
    return topic;
  }
  Offset end_of(const TopicPartition& tp) { return cluster.offsets({tp}).at(tp).high_watermark; }
  bool caught_up(const TopicPartition& tp) {
    const auto end = end_of(tp);
    return wait_until([&] { return sink.reached(tp, end); });
  }
  std::filesystem::path data() const { return stack.info()["kafka"]["data"].get<std::string>(); }
};

TEST_F(RealFetch, ClusterTellsItsShape) {
  const auto topic = make_topic("shape", 3);
  const auto info = cluster.metadata();
  EXPECT_EQ(info.cluster_id.size(), 22u);
  ASSERT_EQ(info.brokers.size(), 1u);
  EXPECT_EQ(info.controller, info.brokers[0].id);
  ASSERT_NE(info.topic(topic), nullptr);
  EXPECT_EQ(info.topic(topic)->topic_id.size(), 22u);
  ASSERT_EQ(info.topic(topic)->partitions.size(), 3u);
  EXPECT_EQ(info.partition({topic, PartitionId(2)})->leader, info.brokers[0].id);
  EXPECT_EQ(info.topic("no-such-topic"), nullptr);
  produce(config, {topic, PartitionId(1)}, {.records = 25});
  EXPECT_EQ(end_of({topic, PartitionId(1)}), Offset(25));
  try {
    cluster.offsets({{topic, PartitionId(9)}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
  }
}

TEST_F(RealFetch, ABrokerThatIsNotThereIsNamed) {
  Config nowhere{.bootstrap = {"127.0.0.1:1"}};
  try {
    Cluster(nowhere, Clock::real()).metadata();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    EXPECT_EQ(error.subject(), "127.0.0.1:1");
  }
}

// Two independent readers: the broker's own files, and kcat.
TEST_F(RealFetch, BytesAreThoseOfTheBrokersDisk) {
  const auto topic = make_topic("bytes", 3, {{"segment.bytes", "16384"}});
  const char* codecs[] = {"none", "lz4", "zstd"};
  for (int p = 0; p < 3; ++p) {
    produce(config, {topic, PartitionId(p)}, {.records = 3000, .codec = codecs[p]});
  }
  const TopicPartition mixed{topic, PartitionId(0)};
  TransactionWriter transactions(config);
  transactions.write(mixed, 20, Ending::abort);
  transactions.write(mixed, 20, Ending::commit);

  RunningFetcher fetcher(config, topic, sink);
  for (int p = 0; p < 3; ++p) {
    const TopicPartition tp{topic, PartitionId(p)};
    ASSERT_TRUE(caught_up(tp)) << to_string(tp);
    const auto log = *sink.log(tp);
    EXPECT_EQ(log.base, Offset(0));
    EXPECT_TRUE(log.bytes == segment_bytes(data(), tp)) << to_string(tp);
    int records = 0;
    TransactionScan scan;
    const auto split = split_batches(log.bytes);
    for (const auto& batch : split.batches) scan.add(batch);
    const ReplayFilter filter(scan.finish());
    for (const auto& batch : split.batches) {
      if (filter.decide(batch) == Replay::keep) records += batch.record_count();
    }
    EXPECT_EQ(static_cast<std::size_t>(records), consume(config, tp).size()) << to_string(tp);
  }
  EXPECT_EQ(end_of(mixed), Offset(3042));  // 3000, 20 and a marker, twice
}

TEST_F(RealFetch, TopicsAndPartitionsThatAppearAreFollowed) {
  const auto prefix = fresh_name("appear");
  RunningFetcher fetcher(config, prefix + "*", sink);
  admin.create_topic(prefix + "-a", 1, 1, {});
  const TopicPartition first{prefix + "-a", PartitionId(0)};
  produce(config, first, {});
  ASSERT_TRUE(caught_up(first));
  add_partitions(config, first.topic, 3);
  const TopicPartition added{first.topic, PartitionId(2)};
  ASSERT_TRUE(wait_until([&] { return cluster.metadata().partition(added) != nullptr; }));
  produce(config, added, {.records = 55});
  ASSERT_TRUE(caught_up(added));
  EXPECT_EQ(sink.log(added)->bytes, segment_bytes(data(), added));
}

TEST_F(RealFetch, ATopicMadeAgainIsAnotherLog) {
  const auto topic = make_topic("again", 1);
  const TopicPartition tp{topic, PartitionId(0)};
  RunningFetcher fetcher(config, topic, sink);
  produce(config, tp, {.records = 80, .text = "old"});
  ASSERT_TRUE(caught_up(tp));
  ASSERT_TRUE(admin.delete_topic(topic));
  admin.create_topic(topic, 1, 1, {});
  produce(config, tp, {.records = 30, .text = "new"});
  ASSERT_TRUE(caught_up(tp));
  const auto logs = sink.logs();
  ASSERT_EQ(logs.size(), 2u);
  std::vector<std::int64_t> ends;
  for (const auto& [id, log] : logs) {
    EXPECT_FALSE(log.diverged);
    EXPECT_TRUE(log.gaps.empty());
    ends.push_back(log.next.value);
  }
  std::sort(ends.begin(), ends.end());
  EXPECT_EQ(ends, (std::vector<std::int64_t>{30, 80}));
}

TEST_F(RealFetch, WhatRetentionTookIsToldAsAGap) {
  const auto topic = make_topic("gap", 1);
  const TopicPartition tp{topic, PartitionId(0)};
  produce(config, tp, {.records = 100, .per_batch = 10});
  delete_records(config, tp, Offset(45));  // inside a batch
  sink.resume = [](const LogId&, Offset) { return Offset(20); };
  RunningFetcher fetcher(config, topic, sink);
  ASSERT_TRUE(caught_up(tp));
  const auto log = *sink.log(tp);
  EXPECT_EQ(log.gaps, (std::vector{std::pair(Offset(20), Offset(45))}));
  const auto split = split_batches(log.bytes);
  ASSERT_FALSE(split.batches.empty());
  EXPECT_LE(split.batches.front().base_offset(), Offset(45));  // the whole batch
  EXPECT_GT(split.batches.front().next_offset(), Offset(45));
  EXPECT_EQ(log.base, split.batches.front().base_offset());
  EXPECT_FALSE(log.diverged);
}

// The log start passes the fetcher while it is slow.
TEST_F(RealFetch, RetentionThatPassesARunningFetcherIsAGap) {
  const auto topic = make_topic("pass", 1);
  const TopicPartition tp{topic, PartitionId(0)};
  std::atomic<bool> hold = true;
  std::atomic<bool> held = false;
  sink.on_range = [&](const FetchedRange&) {
    held = true;
    wait_until([&] { return !hold; });
  };
  RunningFetcher fetcher(config, topic, sink);
  produce(config, tp, {.records = 10});
  ASSERT_TRUE(wait_until([&] { return held.load(); }));
  produce(config, tp, {.records = 90});
  delete_records(config, tp, Offset(60));
  hold = false;
  ASSERT_TRUE(caught_up(tp));
  const auto gaps = sink.log(tp)->gaps;
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].second, Offset(60));
}

TEST_F(RealFetch, ASinkThatFailsEndsTheRunWithItsError) {
  const auto topic = make_topic("sink", 1);
  produce(config, {topic, PartitionId(0)}, {});
  sink.on_range = [](const FetchedRange&) { throw Error(Code::no_space, "vault", "is full"); };
  Fetcher fetcher(config, {.include = {topic}}, sink, Clock::real());
  const Cancel never;
  try {
    fetcher.run(never);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::no_space);
  }
}

TEST_F(RealFetch, StopsSoonWhenCancelled) {
  const auto topic = make_topic("cancel", 1);
  auto fetcher = std::make_unique<RunningFetcher>(config, topic, sink);
  ASSERT_TRUE(wait_until([&] { return sink.log({topic, PartitionId(0)}).has_value(); }));
  const auto begin = Clock::real().steady();
  fetcher->stop();
  EXPECT_LT(seconds_between(begin, Clock::real().steady()), 5.0);
  EXPECT_EQ(fetcher->failure(), nullptr);
}

TEST_F(RealFetch, ABrokerKilledInTheMiddleLosesNothing) {
  const auto topic = make_topic("killed", 2);
  RunningFetcher fetcher(config, topic, sink);
  for (int round = 0; round < 2; ++round) {
    for (int p = 0; p < 2; ++p) produce(config, {topic, PartitionId(p)}, {.records = 500});
    stack.command("kill kafka");
    stack.command("start kafka");
  }
  for (int p = 0; p < 2; ++p) {
    const TopicPartition tp{topic, PartitionId(p)};
    produce(config, tp, {.records = 77});
    ASSERT_TRUE(caught_up(tp));
    const auto log = *sink.log(tp);
    EXPECT_EQ(log.next, Offset(1077));
    EXPECT_EQ(log.bytes, segment_bytes(data(), tp));
    EXPECT_TRUE(log.gaps.empty());
    EXPECT_FALSE(log.diverged);
  }
  EXPECT_EQ(sink.logs().size(), 2u);
}

// Has a stack of its own: it loses everything.
TEST(RealFetchLoss, ALostLogIsToldAndALostClusterComesBackAsNewLogs) {
  StackProcess stack({"kafka"});
  const auto config = config_of(stack);
  const TopicPartition tp{"events", PartitionId(0)};
  RememberingSink sink;
  Admin(config, Clock::real()).create_topic(tp.topic, 1, 1, {});
  RunningFetcher fetcher(config, "*", sink);
  produce(config, tp, {.records = 200});
  ASSERT_TRUE(wait_until([&] { return sink.reached(tp, Offset(200)); }));

  // The disk is lost, ZooKeeper still knows the topic: the same log, cut back.
  stack.command("kill kafka");
  stack.command("wipe kafka");
  stack.command("start kafka");
  ASSERT_TRUE(wait_until([&] { return sink.log(tp)->diverged; }));
  EXPECT_EQ(sink.logs().size(), 1u);

  stack.command("kill kafka");
  stack.command("kill zookeeper");
  stack.command("wipe kafka");
  stack.command("wipe zookeeper");
  stack.command("start zookeeper");
  stack.command("start kafka");
  Admin(config, Clock::real()).create_topic(tp.topic, 1, 1, {});
  produce(config, tp, {.records = 60});
  ASSERT_TRUE(wait_until([&] { return sink.reached(tp, Offset(60)); }));
  const auto logs = sink.logs();
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_NE(logs.begin()->first.cluster_id, logs.rbegin()->first.cluster_id);
  EXPECT_FALSE(sink.log(tp)->diverged);
  EXPECT_EQ(fetcher.failure(), nullptr);
}

}  // namespace
}  // namespace lifeboat::kafka::test
