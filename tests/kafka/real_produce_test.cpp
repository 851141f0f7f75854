#include <gtest/gtest.h>

#include "base/error.hpp"
#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"
#include "kafka/offset_translation.hpp"
#include "kafka/raw_producer.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/transaction_scan.hpp"

namespace lifeboat::kafka::test {
namespace {

using lifeboat::test::StackProcess;

class RealProduce : public testing::Test {
 protected:
  StackProcess& stack = StackProcess::shared({"kafka"});
  Config config = config_of(stack);
  Admin admin{config, Clock::real()};
  const Cancel never;

  TopicPartition make_topic(const std::string& prefix, int partitions = 1) {
    const TopicPartition tp{fresh_name(prefix), PartitionId(0)};
    admin.create_topic(tp.topic, partitions, 1, {});
    return tp;
  }

  std::string fetch_all(const TopicPartition& tp) {
    const auto end = Cluster(config, Clock::real()).offsets({tp}).at(tp).high_watermark;
    RememberingSink sink;
    RunningFetcher fetcher(config, tp.topic, sink);
    if (!wait_until([&] { return sink.reached(tp, end); })) throw std::runtime_error("no end");
    return sink.log(tp)->bytes;
  }

  // Produces what is to be kept of a fetched log, and notes where it went.
  static OffsetTranslation replay(RawProducer& producer, const std::string& log,
                                  const TopicPartition& to, const Cancel& cancel) {
    TransactionScan scan;
    const auto split = split_batches(log);
    for (const auto& batch : split.batches) scan.add(batch);
    const ReplayFilter filter(scan.finish());
    OffsetTranslation table;
    for (const auto& batch : split.batches) {
      if (filter.decide(batch) != Replay::keep) continue;
      producer.produce(to, std::string(batch.bytes()),
                       [&](Offset base, Offset next, Offset at) { table.add(base, next, at); });
    }
    producer.flush(cancel);
    return table;
  }

  void expect_same_records(const TopicPartition& from, const TopicPartition& to,
                           const OffsetTranslation& table) {
    const auto before = consume(config, from);
    const auto after = consume(config, to);
    ASSERT_EQ(before.size(), after.size());
    ASSERT_FALSE(before.empty());
    for (std::size_t i = 0; i < before.size(); ++i) {
      ASSERT_EQ(before[i].second, after[i].second) << i;
      ASSERT_EQ(table.translate(before[i].first), after[i].first) << before[i].first.value;
    }
    EXPECT_EQ(table.translate(before.back().first + 1), after.back().first + 1);
  }
};

TEST_F(RealProduce, KeysValuesHeadersTimesAndOrderComeBackAndOffsetsTranslate) {
  const auto from = make_topic("from");
  const auto to = make_topic("to");
  TransactionWriter transactions(config);
  for (const char* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    produce(config, from, {.records = 300, .codec = codec, .text = codec});
    transactions.write(from, 7, Ending::abort);
    transactions.write(from, 5, Ending::commit);
  }
  const auto log = fetch_all(from);
  RawProducer producer(config, Clock::real());
  const auto table = replay(producer, log, to, never);
  expect_same_records(from, to, table);
  EXPECT_EQ(table.new_end(), Offset(5 * 305));
  EXPECT_EQ(OffsetTranslation::parse(table.serialise()), table);
}

TEST_F(RealProduce, ABrokerKilledInTheMiddleGetsEachBatchOnce) {
  const auto from = make_topic("many");
  const auto to = make_topic("once");
  produce(config, from, {.records = 40000, .per_batch = 20});
  const auto log = fetch_all(from);
  const auto split = split_batches(log);
  ASSERT_GT(split.batches.size(), 500u);

  std::atomic<std::size_t> acknowledged = 0;
  OffsetTranslation table;
  RawProducer producer(config, Clock::real(), {.max_queued = ByteCount(64 * 1024)});
  std::thread feeder([&] {
    for (const auto& batch : split.batches) {
      producer.produce(to, std::string(batch.bytes()), [&](Offset base, Offset next, Offset at) {
        table.add(base, next, at);
        ++acknowledged;
        never.sleep_for(Millis(1));  // so that there is a middle to kill in
      });
    }
  });
  for (const std::size_t n : {split.batches.size() / 4, split.batches.size() / 2}) {
    EXPECT_TRUE(wait_until([&] { return acknowledged >= n; }));
    stack.command("kill kafka");
    EXPECT_LT(acknowledged, split.batches.size()) << "the kill came too late to show anything";
    stack.command("start kafka");
  }
  feeder.join();
  producer.flush(never);
  EXPECT_EQ(acknowledged, split.batches.size());
  EXPECT_EQ(table.ranges().size(), 1u);
  expect_same_records(from, to, table);
}

// What a run that died had still on its way may arrive before or after the next run looks where the
// log ends: here the next run goes on too early by three batches.
class ResumedProduce : public RealProduce {
 protected:
  void goes_on_too_early(const std::function<void()>& between) {
    const auto from = make_topic("died");
    const auto to = make_topic("resumed");
    produce(config, from, {.records = 200, .per_batch = 10});
    const auto log = fetch_all(from);
    const auto split = split_batches(log);
    ASSERT_EQ(split.batches.size(), 20u);
    const auto owner = std::make_shared<const std::string>(log);
    const auto batch = [&](std::size_t i) {
      return BatchView::parse(std::string_view(*owner).substr(
          static_cast<std::size_t>(split.batches[i].bytes().data() - log.data()),
          split.batches[i].bytes().size()));
    };
    OffsetTranslation table;
    const RawProducer::Done add = [&](Offset base, Offset next, Offset at) {
      table.add(base, next, at);
    };
    RawProducer first(config, Clock::real());
    first.begin(to, Offset(0));
    for (std::size_t i = 0; i < 12; ++i)
      first.produce(to, owner, batch(i), i < 9 ? add : RawProducer::Done());
    first.flush(never);
    between();
    RawProducer second(config, Clock::real(), {.identity = first.identity()});
    second.begin(to, Offset(90));
    for (std::size_t i = 9; i < 20; ++i) second.produce(to, owner, batch(i), add);
    second.flush(never);
    expect_same_records(from, to, table);
    EXPECT_EQ(table.new_end(), Offset(200));
  }
};

TEST_F(ResumedProduce, TheNextRunIsTheSameProducerSoThatNothingIsTakenTwice) {
  goes_on_too_early([] {});
}

// Since it was killed it knows of the producer only the last batch that lies in the log.
TEST_F(ResumedProduce, NorByABrokerThatWasKilledMeanwhile) {
  goes_on_too_early([&] {
    stack.command("kill kafka");
    stack.command("start kafka");
  });
}

TEST_F(RealProduce, AnotherWriterIsNoticedAndNamed) {
  const auto from = make_topic("mine");
  const auto to = make_topic("ours");
  produce(config, from, {.records = 20, .per_batch = 10});
  const auto log = fetch_all(from);
  const auto split = split_batches(log);
  RawProducer producer(config, Clock::real());
  const auto give = [&] {
    for (const auto& batch : split.batches) producer.produce(to, std::string(batch.bytes()), {});
    producer.flush(never);
  };
  give();
  produce(config, to, {.records = 3});
  try {
    give();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::refused);
    EXPECT_EQ(error.subject(), to_string(to));
    EXPECT_NE(error.hint().find(to.topic), std::string::npos);
  }
}

TEST_F(RealProduce, WhatTheBrokerRefusesIsTold) {
  const auto from = make_topic("large");
  const TopicPartition to{fresh_name("small"), PartitionId(0)};
  admin.create_topic(to.topic, 1, 1, {{"max.message.bytes", "200"}});
  produce(config, from, {.records = 50, .per_batch = 50});
  const auto log = fetch_all(from);
  RawProducer producer(config, Clock::real());
  try {
    replay(producer, log, to, never);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_NE(error.message().find("MSG_SIZE_TOO_LARGE"), std::string::npos) << error.message();
  }
}

TEST_F(RealProduce, ATopicThatIsNotThereIsNotFound) {
  const auto from = make_topic("here");
  produce(config, from, {.records = 5});
  const auto log = fetch_all(from);
  RawProducer producer(config, Clock::real());
  try {
    replay(producer, log, {"not-there", PartitionId(0)}, never);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
  }
}

}  // namespace
}  // namespace lifeboat::kafka::test
