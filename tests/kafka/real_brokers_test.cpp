#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"
#include "kafka/extra_broker.hpp"
#include "kafka/offset_translation.hpp"
#include "kafka/raw_producer.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka::test {
namespace {

constexpr int kPartitions = 4;

std::vector<BrokerId> leaders(Cluster& cluster, const std::string& topic) {
  std::vector<BrokerId> all;
  const auto info = cluster.metadata();
  for (const auto& partition : info.topic(topic)->partitions) all.push_back(partition.leader);
  return all;
}

bool all_in_sync(Cluster& cluster, const std::string& topic) {
  const auto info = cluster.metadata();
  for (const auto& partition : info.topic(topic)->partitions) {
    if (partition.isr.size() != 2) return false;
  }
  return true;
}

// Replays the fetched log of partition `p` of one topic into another.
void feed(RawProducer& producer, const RememberingSink& sink, const std::string& from,
          const std::string& to, int p, std::atomic<int>& acknowledged,
          std::vector<OffsetTranslation>& tables) {
  const auto log = sink.log({from, PartitionId(p)})->bytes;
  const auto split = split_batches(log);
  for (const auto& batch : split.batches) {
    producer.produce({to, PartitionId(p)}, std::string(batch.bytes()),
                     [&, p](Offset base, Offset next, Offset at) {
                       tables[static_cast<std::size_t>(p)].add(base, next, at);
                       ++acknowledged;
                       Cancel().sleep_for(Millis(5));  // so that there is a middle to kill in
                     });
  }
}

// Fetched: byte for byte what the broker has. Produced again: each record once, at the offset told.
void expect_all_there(const lifeboat::test::StackProcess& stack, const Config& config,
                      RememberingSink& sink, const std::vector<OffsetTranslation>& tables) {
  for (int p = 0; p < kPartitions; ++p) {
    const auto log = *sink.log({"from", PartitionId(p)});
    EXPECT_TRUE(log.gaps.empty());
    EXPECT_FALSE(log.diverged);
    EXPECT_EQ(log.bytes, segment_bytes(stack.folder() / "kafka-1/data", {"from", PartitionId(p)}));

    const auto before = consume(config, {"from", PartitionId(p)});
    const auto after = consume(config, {"to", PartitionId(p)});
    ASSERT_EQ(before.size(), 2800u);
    ASSERT_EQ(after.size(), 2000u) << "each record once";
    for (std::size_t i = 0; i < after.size(); ++i) {
      ASSERT_EQ(before[i].second, after[i].second) << i;
      ASSERT_EQ(tables[static_cast<std::size_t>(p)].translate(before[i].first), after[i].first);
    }
  }
}

// Leaders move from one broker to the other and back, while both directions work.
TEST(RealBrokers, FetchAndProduceFollowLeadersThatMove) {
  lifeboat::test::StackProcess stack({"kafka"});
  ExtraBroker extra(stack, 1);
  const auto config = config_of(stack);
  Admin admin(config, Clock::real());
  Cluster cluster(config, Clock::real());
  admin.create_topic("from", kPartitions, 2, {});
  admin.create_topic("to", kPartitions, 2, {});
  const auto at_first = leaders(cluster, "from");
  ASSERT_NE(std::count(at_first.begin(), at_first.end(), BrokerId(0)), 0);
  ASSERT_NE(std::count(at_first.begin(), at_first.end(), extra.id()), 0);

  RememberingSink sink;
  RunningFetcher fetcher(config, "from", sink);
  const auto write = [&](int records) {
    for (int p = 0; p < kPartitions; ++p) {
      produce(config, {"from", PartitionId(p)}, {.records = records, .per_batch = 20});
    }
  };
  const auto all_reached = [&](std::int64_t end) {
    return wait_until([&] {
      for (int p = 0; p < kPartitions; ++p) {
        if (!sink.reached({"from", PartitionId(p)}, Offset(end))) return false;
      }
      return true;
    });
  };
  write(2000);
  ASSERT_TRUE(all_reached(2000));

  std::atomic<int> acknowledged = 0;
  std::vector<OffsetTranslation> tables(kPartitions);
  RawProducer producer(config, Clock::real(), {.max_queued = ByteCount(16 * 1024)});
  std::thread feeder([&] {
    for (int p = 0; p < kPartitions; ++p) {
      feed(producer, sink, "from", "to", p, acknowledged, tables);
    }
  });
  EXPECT_TRUE(wait_until([&] { return acknowledged > 20; }));
  extra.kill();
  const int when_killed = acknowledged;
  feeder.join();
  producer.flush(Cancel());
  EXPECT_LT(when_killed, acknowledged) << "the kill came too late to show anything";

  write(500);  // librdkafka waits until the leaders have moved
  ASSERT_TRUE(all_reached(2500));
  for (const auto leader : leaders(cluster, "from")) EXPECT_EQ(leader, BrokerId(0));

  extra.start();
  ASSERT_TRUE(wait_until([&] { return all_in_sync(cluster, "from") && all_in_sync(cluster, "to"); },
                         Millis(120000)));
  stack.command("kill kafka");  // the only one that the bootstrap list names
  ASSERT_TRUE(wait_until([&] {
    const auto now = leaders(cluster, "from");
    return std::count(now.begin(), now.end(), extra.id()) == kPartitions;
  }));
  stack.command("start kafka");
  write(300);
  ASSERT_TRUE(all_reached(2800));

  expect_all_there(stack, config, sink, tables);
}

}  // namespace
}  // namespace lifeboat::kafka::test
