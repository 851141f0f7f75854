#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"
#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"
#include "kafka/group_hold.hpp"

namespace lifeboat::kafka::test {
namespace {

using lifeboat::test::StackProcess;

class RealGroup : public testing::Test {
 protected:
  StackProcess& stack = StackProcess::shared({"kafka"});
  Config config = config_of(stack);
  Admin admin{config, Clock::real()};
  const Cancel never;
  std::string topic = fresh_name("grouped");
  std::string group = fresh_name("group");
  TopicPartition first{topic, PartitionId(0)};
  TopicPartition second{topic, PartitionId(1)};

  void SetUp() override {
    admin.create_topic(topic, 2, 1, {});
    produce(config, first, {.records = 50});
    produce(config, second, {.records = 60});
  }
  Deadline soon() const { return Deadline::after(Millis(60000)); }
  GroupHold hold(EvictOthers others) {
    return GroupHold(config, group, {topic}, others, never, soon(), Clock::real());
  }
  bool stable(std::size_t members) {
    return wait_until([&] {
      const auto now = admin.describe(group);
      return now.state == GroupState::stable && now.members.size() == members;
    });
  }
};

TEST_F(RealGroup, AHoldKeepsOthersOutCommitsAndLetsThemInAgain) {
  const std::map<TopicPartition, Offset> cursors = {{first, Offset(42)}, {second, Offset(7)}};
  auto held = std::make_unique<GroupHold>(config, group, std::vector{topic}, EvictOthers::no, never,
                                          soon(), Clock::real());
  StubbornConsumer other(config, group, topic);
  ASSERT_TRUE(wait_until([&] { return other.refusals() > 0; }));
  held->check();
  held->commit(cursors);
  EXPECT_EQ(held->committed(), cursors);
  const auto refusals = other.refusals();
  ASSERT_TRUE(
      wait_until([&] { return other.refusals() > refusals; }));  // and goes on being refused
  EXPECT_TRUE(other.seen().empty());
  held->check();

  const auto begin = Clock::real().steady();
  held->leave();
  EXPECT_LT(seconds_between(begin, Clock::real().steady()), 5.0);  // the session has 10 s
  // It goes on by itself, at the cursors: 8 records of the first partition, 53 of the second.
  ASSERT_TRUE(wait_until([&] {
    const auto seen = other.seen();
    return seen.contains(first) && seen.at(first).size() >= 8 && seen.contains(second) &&
           seen.at(second).size() >= 53;
  }));
  const auto seen = other.seen();
  EXPECT_EQ(seen.at(first).front(), Offset(42));
  EXPECT_EQ(seen.at(first).back(), Offset(49));
  EXPECT_EQ(seen.at(second).front(), Offset(7));
  EXPECT_EQ(seen.at(second).back(), Offset(59));
}

TEST_F(RealGroup, MembersAreNamedOrTakenOut) {
  GroupConsumer other(config, group, topic, "range");
  ASSERT_TRUE(stable(1));
  try {
    hold(EvictOthers::no);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::refused);
    EXPECT_NE(error.message().find("127.0.0.1"), std::string::npos) << error.message();
  }
  other.kill();  // dead, but in the group until its session of 45 s ends
  ASSERT_EQ(admin.describe(group).members.size(), 1u);
  const auto begin = Clock::real().steady();
  auto held = hold(EvictOthers::yes);
  EXPECT_LT(seconds_between(begin, Clock::real().steady()), 30.0);
  held.check();
  held.commit({{first, Offset(3)}});
  EXPECT_EQ(held.committed().at(first), Offset(3));
}

// Members that live come back at once: the hold must win against them, and keep what it won.
TEST_F(RealGroup, LivingMembersAreTakenOutToo) {
  StubbornConsumer one(config, group, topic);
  StubbornConsumer two(config, group, topic);
  ASSERT_TRUE(stable(2));
  auto held = hold(EvictOthers::yes);
  held.check();
  held.commit({{first, Offset(5)}});
  ASSERT_TRUE(wait_until([&] { return one.refusals() > 0 && two.refusals() > 0; }));
  held.check();
  EXPECT_EQ(held.committed().at(first), Offset(5));
}

TEST_F(RealGroup, DescribesEvictsAltersAndDeletes) {
  EXPECT_EQ(admin.describe("no-such-group").state, GroupState::dead);
  EXPECT_TRUE(admin.committed("no-such-group").empty());
  EXPECT_FALSE(admin.delete_group("no-such-group"));

  GroupConsumer other(config, group, topic, "roundrobin");
  ASSERT_TRUE(stable(1));
  const auto now = admin.describe(group);
  EXPECT_EQ(now.strategy, "roundrobin");
  ASSERT_EQ(now.members.size(), 1u);
  EXPECT_EQ(now.members[0].client_id, "rdkafka");
  EXPECT_EQ(now.members[0].assignment.size(), 2u);
  const auto groups = admin.list_groups();
  EXPECT_NE(std::find(groups.begin(), groups.end(), group), groups.end());

  const std::map<TopicPartition, Offset> cursors = {{first, Offset(1)}, {second, Offset(2)}};
  const auto refused = [&](const std::function<void()>& call) {
    try {
      call();
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::refused);
      EXPECT_NE(error.message().find(now.members[0].member_id), std::string::npos);
    }
  };
  refused([&] { admin.alter_offsets(group, cursors); });
  refused([&] { admin.delete_group(group); });

  other.kill();
  EXPECT_TRUE(admin.evict(group, now.members[0].member_id));
  EXPECT_FALSE(admin.evict(group, now.members[0].member_id));
  EXPECT_EQ(admin.describe(group).state, GroupState::empty);
  admin.alter_offsets(group, cursors);
  EXPECT_EQ(admin.committed(group), cursors);
  EXPECT_TRUE(admin.delete_group(group));
  EXPECT_TRUE(admin.committed(group).empty());
}

TEST_F(RealGroup, CommittedOffsetsAreReadInMilliseconds) {
  const std::map<TopicPartition, Offset> cursors = {{first, Offset(1)}, {second, Offset(2)}};
  admin.alter_offsets(group, cursors);
  std::vector<double> seconds;
  for (int i = 0; i < 20; ++i) {
    const auto begin = Clock::real().steady();
    ASSERT_EQ(admin.committed(group), cursors);
    seconds.push_back(seconds_between(begin, Clock::real().steady()));
  }
  std::sort(seconds.begin(), seconds.end());
  RecordProperty("median_ms", std::to_string(seconds[10] * 1000));
  std::printf("committed(): median %.1f ms, worst %.1f ms\n", seconds[10] * 1000,
              seconds.back() * 1000);
  EXPECT_LT(seconds[10], 0.1);
}

TEST_F(RealGroup, TopicConfigurationsGoThereAndBack) {
  const auto name = fresh_name("configured");
  const std::map<std::string, std::string> configs = {{"retention.ms", "123456789"},
                                                      {"cleanup.policy", "compact,delete"}};
  admin.create_topic(name, 3, 1, configs);
  EXPECT_EQ(admin.topic_configs(name), configs);
  const std::map<std::string, std::string> others = {{"max.message.bytes", "2000000"}};
  admin.set_topic_configs(name, others);
  EXPECT_TRUE(wait_until([&] { return admin.topic_configs(name) == others; }));
  EXPECT_TRUE(admin.topic_configs(topic).empty());
  try {
    admin.create_topic(name, 1, 1, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::conflict);
  }
  EXPECT_THROW(admin.create_topic(fresh_name("bad"), 1, 1, {{"no.such.config", "1"}}), Error);
  EXPECT_TRUE(admin.delete_topic(name));
  EXPECT_FALSE(admin.delete_topic(name));
  admin.create_topic(name, 1, 1, {});  // also while the old one is still being deleted
}

}  // namespace
}  // namespace lifeboat::kafka::test
