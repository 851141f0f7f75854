#include <gtest/gtest.h>

#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka::test {
namespace {

using lifeboat::test::StackProcess;

// Three brokers under KRaft; `kafka` is the controller, too, and stays.
class RealElections : public testing::Test {
 protected:
  static StackProcess& stack() {
    static StackProcess three({"kafka"}, {}, {"--kafka", "4", "--brokers", "3"});
    return three;
  }
  Config config = [] {
    Config all;
    for (const char* name : {"kafka", "kafka-1", "kafka-2"}) {
      all.bootstrap.push_back(stack().info()[name]["bootstrap"].get<std::string>());
    }
    all.request_timeout = Millis(30000);
    return all;
  }();
  Admin admin{config, Clock::real()};
  Cluster cluster{config, Clock::real()};

  static std::filesystem::path data(const std::string& broker) {
    return stack().info()[broker]["data"].get<std::string>();
  }
  bool leads(const TopicPartition& tp, int broker) {
    return wait_until([&] {
      const auto info = cluster.metadata();
      const auto* partition = info.partition(tp);
      return partition != nullptr && partition->leader == BrokerId(broker);
    });
  }
  std::size_t in_sync(const TopicPartition& tp) {
    const auto info = cluster.metadata();
    return info.partition(tp)->isr.size();
  }
  // A topic of one partition that lies on these two brokers (of three), in this order.
  TopicPartition make_topic_on(BrokerId first, BrokerId second) {
    for (;;) {
      const TopicPartition tp{fresh_name("elected"), PartitionId(0)};
      admin.create_topic(tp.topic, 1, 2, {{"unclean.leader.election.enable", "true"}});
      const auto info = cluster.metadata();
      if (info.partition(tp)->replicas == std::vector{first, second}) return tp;
      admin.delete_topic(tp.topic);
    }
  }
};

// A leader that lags behind takes over, and writes other records at offsets that were fetched.
TEST_F(RealElections, AnUncleanElectionIsToldWithTheOffsetUpToWhichTheLogsAreTheSame) {
  const auto tp = make_topic_on(BrokerId(1), BrokerId(2));
  RememberingSink watching;
  watching.after_divergence = [](const Divergence& d) { return d.same_below.value_or(Offset(0)); };
  RunningFetcher fetcher(config, tp.topic, watching);
  produce(config, tp, {.records = 100, .per_batch = 10, .text = "both"});
  ASSERT_TRUE(wait_until([&] { return watching.reached(tp, Offset(100)); }));
  ASSERT_TRUE(wait_until([&] { return in_sync(tp) == 2; }));
  stack().command("kill kafka-2");
  ASSERT_TRUE(wait_until([&] { return in_sync(tp) == 1; }));
  produce(config, tp, {.records = 50, .text = "lost"});
  ASSERT_TRUE(wait_until([&] { return watching.reached(tp, Offset(150)); }));
  const auto old_epoch = cluster.metadata().partition(tp)->leader_epoch;

  stack().command("kill kafka-1");
  stack().command("start kafka-2");
  ASSERT_TRUE(leads(tp, 2));
  produce(config, tp, {.records = 80, .text = "instead"});  // past what was fetched
  ASSERT_TRUE(wait_until([&] { return watching.reached(tp, Offset(180)); }));
  const auto seen = *watching.log(tp);
  ASSERT_TRUE(seen.divergence.has_value());
  EXPECT_EQ(seen.divergence->fetched, Offset(150));
  EXPECT_EQ(seen.divergence->same_below, Offset(100));
  EXPECT_GT(seen.divergence->epoch, old_epoch);
  const auto whole = segment_bytes(data("kafka-2"), tp);
  EXPECT_EQ(split_batches(seen.bytes).batches.front().base_offset(), Offset(100));
  EXPECT_TRUE(whole.ends_with(seen.bytes));

  // Who was away meanwhile and knows the epoch of what he has notices it as well, although the log
  // is longer now than what he has.
  RememberingSink back;
  back.resume = [](const LogId&, Offset) { return Offset(150); };
  back.epoch = old_epoch;
  RunningFetcher later(config, tp.topic, back);
  ASSERT_TRUE(wait_until([&] { return back.log(tp) && back.log(tp)->diverged; }));
  EXPECT_EQ(back.log(tp)->divergence->same_below, Offset(100));
  EXPECT_TRUE(back.log(tp)->bytes.empty()) << "nothing of the new log is mixed with the old one";
  stack().command("start kafka-1");
  EXPECT_EQ(fetcher.failure(), nullptr);
}

// Each broker in turn goes and comes back, by SIGKILL, while records are written and fetched.
TEST_F(RealElections, CleanElectionsOnThreeBrokersLoseNothing) {
  const auto topic = fresh_name("clean");
  admin.create_topic(topic, 6, 3, {{"min.insync.replicas", "2"}});
  RememberingSink sink;
  RunningFetcher fetcher(config, topic, sink);
  int written = 0;
  const auto write = [&](int records) {
    for (int p = 0; p < 6; ++p) produce(config, {topic, PartitionId(p)}, {.records = records});
    written += records;
  };
  const auto all_in_sync = [&] {
    for (int p = 0; p < 6; ++p) {
      if (in_sync({topic, PartitionId(p)}) != 3) return false;
    }
    return true;
  };
  write(200);
  for (const char* broker : {"kafka-1", "kafka-2"}) {
    ASSERT_TRUE(wait_until(all_in_sync));
    stack().command(std::string("kill ") + broker);
    write(200);
    stack().command(std::string("start ") + broker);
    write(100);
  }
  for (int p = 0; p < 6; ++p) {
    const TopicPartition tp{topic, PartitionId(p)};
    ASSERT_TRUE(wait_until([&] { return sink.reached(tp, Offset(written)); })) << to_string(tp);
    const auto log = *sink.log(tp);
    EXPECT_FALSE(log.diverged);
    EXPECT_TRUE(log.gaps.empty());
    EXPECT_TRUE(log.bytes == segment_bytes(data("kafka"), tp)) << to_string(tp);
  }
}

}  // namespace
}  // namespace lifeboat::kafka::test
