// ZooKeeper is lost under a Kafka that lives and takes load; kcat is the independent witness.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/error.hpp"
#include "base/file.hpp"
#include "support/stack_fixture.hpp"
#include "tree_support.hpp"
#include "zookeeper/kafka_nodes.hpp"

namespace lifeboat::zookeeper {
namespace {

using nlohmann::json;

// Standard output of a shell command; throws when it fails.
std::string shell(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen");
  std::string output;
  std::array<char, 65536> buffer;
  while (const std::size_t got = ::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), got);
  }
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  return output;
}

void wait_until(const char* what, const std::function<bool()>& holds) {
  const Cancel cancel;
  for (const Deadline deadline = Deadline::after(Millis(120'000)); !holds();) {
    if (deadline.passed()) throw std::runtime_error(std::string("in vain waited: ") + what);
    cancel.sleep_for(Millis(200));
  }
}

class RealKafkaOnZooKeeper : public ::testing::Test {
 protected:
  RealKafkaOnZooKeeper() : stack_({"kafka"}) {
    config_.connect = stack_.info()["zookeeper"]["connect"].get<std::string>();
    bootstrap_ = stack_.info()["kafka"]["bootstrap"].get<std::string>();
  }

  // As an administrator of old: the controller sees the node and makes the partitions.
  void make_topic(const std::string& name, const std::string& id, int partitions) {
    json assignment;
    for (int p = 0; p < partitions; ++p) assignment[std::to_string(p)] = {0};
    const json topic = {{"version", 3},
                        {"topic_id", id},
                        {"partitions", assignment},
                        {"adding_replicas", json::object()},
                        {"removing_replicas", json::object()}};
    Hand hand(config_);
    hand.make("/config/topics/" + name, R"({"version":1,"config":{"retention.ms":"86400000"}})");
    hand.make("/brokers/topics/" + name, topic.dump());
    const std::string last =
        "/brokers/topics/" + name + "/partitions/" + std::to_string(partitions - 1) + "/state";
    wait_until("the topic's partitions", [&] { return hand.get(last).has_value(); });
    wait_until("the topic", [&] { return topics().contains(name); });
  }

  std::map<std::string, std::size_t> topics() {
    const json all = json::parse(shell("kcat -b " + bootstrap_ + " -L -J -m 30"));
    std::map<std::string, std::size_t> found;
    for (const json& topic : all["topics"]) {
      bool led = true;
      for (const json& p : topic["partitions"]) led = led && p["leader"].get<int>() >= 0;
      if (led) found[topic["topic"].get<std::string>()] = topic["partitions"].size();
    }
    return found;
  }

  // `count` records with the values first, first + 1, … ; all acknowledged when it returns.
  void produce(const std::string& topic, int first, int count) {
    shell("seq " + std::to_string(first) + " " + std::to_string(first + count - 1) + " | kcat -b " +
          bootstrap_ + " -P -t " + topic + " -X enable.idempotence=true");
  }

  std::vector<int> consume(const std::string& topic) {
    std::istringstream lines(shell("kcat -q -e -C -o beginning -b " + bootstrap_ + " -t " + topic));
    std::vector<int> values;
    for (int value; lines >> value;) values.push_back(value);
    std::sort(values.begin(), values.end());
    return values;
  }

  std::string broker_cluster_id() {
    const auto path = std::filesystem::path(stack_.info()["kafka"]["data"].get<std::string>()) /
                      "meta.properties";
    const std::string text = read_file(path).value();
    const auto at = text.find("cluster.id=") + 11;
    return text.substr(at, text.find('\n', at) - at);
  }

  std::vector<int> first(int count) {
    std::vector<int> values(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = i;
    return values;
  }

  void lose_zookeeper() {
    stack_.command("kill zookeeper");
    stack_.command("wipe zookeeper");
  }

  void expect_whole(int records) {
    EXPECT_EQ(topics()["events"], 4u);
    EXPECT_EQ(consume("events"), first(records));
    Hand hand(config_);
    EXPECT_EQ(json::parse(hand.get("/cluster/id").value())["id"], broker_cluster_id());
    const json state = json::parse(hand.get("/brokers/topics/events/partitions/0/state").value());
    EXPECT_GE(state["leader_epoch"].get<int>(), 10'000);
    EXPECT_EQ(json::parse(hand.get("/config/topics/events").value())["config"]["retention.ms"],
              "86400000");
    // The controller works: it makes a topic and takes records for it.
    make_topic("after", "AAAAAAAAAAAAAAAAAAAAZw", 1);
    produce("after", 0, 10);
    EXPECT_EQ(consume("after"), first(10));
  }

  test::StackProcess stack_;
  Config config_;
  std::string bootstrap_;
  const Cancel cancel_;
};

TEST_F(RealKafkaOnZooKeeper, ComesBackWithItsTopicsAndEveryRecord) {
  make_topic("events", "AAAAAAAAAAAAAAAAAAAAEQ", 4);
  produce("events", 0, 1000);
  const std::vector<Znode> nodes = dump_all(config_);
  produce("events", 1000, 1000);
  lose_zookeeper();
  produce("events", 2000, 1000);  // Kafka lives on without ZooKeeper

  stack_.command("kill kafka");
  stack_.command("start zookeeper");
  restore_tree(config_, cancel_, giving(nodes), kafka_restore_options("r1"));
  stack_.command("start kafka");
  produce("events", 3000, 1000);
  expect_whole(4000);
}

// What happens at 3 a.m.: somebody starts an empty ZooKeeper and restarts the broker on it.
TEST_F(RealKafkaOnZooKeeper, ComesBackAfterABrokerWasStartedOnTheEmptyZooKeeper) {
  make_topic("events", "AAAAAAAAAAAAAAAAAAAAEQ", 4);
  produce("events", 0, 1000);
  const std::vector<Znode> nodes = dump_all(config_);
  lose_zookeeper();
  stack_.command("start zookeeper");
  produce("events", 1000, 1000);
  stack_.command("kill kafka");
  // It makes its directories and a new cluster id, finds another one on its disks, and gives up.
  EXPECT_THROW(stack_.command("start kafka"), std::runtime_error);
  const RestoreOptions options = kafka_restore_options("r1");
  {
    Hand hand(config_);
    ASSERT_TRUE(hand.get("/cluster/id"));
    EXPECT_NE(json::parse(*hand.get("/cluster/id"))["id"], broker_cluster_id());
  }
  EXPECT_TRUE(target_state(config_, cancel_, options.skeleton).empty);
  restore_tree(config_, cancel_, giving(nodes), options);
  stack_.command("start kafka");
  produce("events", 2000, 1000);
  expect_whole(3000);
}

// The tree comes back under a broker that was never stopped: it cannot register before all is
// there.
TEST_F(RealKafkaOnZooKeeper, LosesNothingWhenTheBrokerWasNotStopped) {
  make_topic("events", "AAAAAAAAAAAAAAAAAAAAEQ", 4);
  produce("events", 0, 1000);
  const std::vector<Znode> nodes = dump_all(config_);
  lose_zookeeper();
  stack_.command("start zookeeper");
  restore_tree(config_, cancel_, giving(nodes), kafka_restore_options("r1"));
  produce("events", 1000, 1000);
  stack_.command("kill kafka");
  stack_.command("start kafka");
  produce("events", 2000, 1000);
  expect_whole(3000);
}

}  // namespace
}  // namespace lifeboat::zookeeper
