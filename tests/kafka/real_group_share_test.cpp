#include "kafka/group_share.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/file.hpp"
#include "kafka/admin.hpp"
#include "kafka/broker_tools.hpp"

namespace lifeboat::kafka::test {
namespace {

using lifeboat::test::StackProcess;

class RealGroupShare : public testing::Test {
 protected:
  Config config = config_of(StackProcess::shared({"kafka"}));
  Admin admin{config, Clock::real()};
  std::string topic = fresh_name("shared");
  std::string group = fresh_name("archivers");
  std::filesystem::path folder = std::filesystem::temp_directory_path() / group;

  void SetUp() override {
    admin.create_topic(topic, 4, 1, {});
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  // An archiver under the name `instance`, for so long.
  void archive(int number, const std::string& instance, Millis for_how_long) {
    const auto file = folder / std::to_string(number);
    write_file_durably(file, instance);
    const auto nothing = [](const auto&) {};
    GroupShare share(config, {.group = group, .instance_file = file, .include = {topic}}, nothing,
                     nothing, Clock::real());
    Cancel cancel;
    std::thread member([&] { share.run(cancel); });
    std::this_thread::sleep_for(for_how_long);
    cancel.request();
    member.join();
  }
};

// Two of four have the name of another, and fence it off. librdkafka 2.0.2 ended the program then
// (docs/facts-kafka.md).
TEST_F(RealGroupShare, AMemberMayGoBeforeItsFirstAssignment) {
  for (int round = 0; round < 15; ++round) {
    std::vector<std::thread> archivers;
    for (int i = 0; i < 4; ++i) {
      archivers.emplace_back([this, round, i] {
        archive(round * 4 + i, "archiver-" + std::to_string(i % 2), Millis(round * 5 + i * 7));
      });
    }
    for (auto& archiver : archivers) archiver.join();
  }
}

}  // namespace
}  // namespace lifeboat::kafka::test
