#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"
#include "clickhouse/freeze.hpp"
#include "real_support.hpp"

namespace lifeboat::clickhouse {
namespace {

// Programs that the tests below run by calling this one again.
std::vector<std::string> this_program(const std::string& test) {
  return {"/proc/self/exe", "--gtest_also_run_disabled_tests", "--gtest_filter=" + test};
}
TEST(FaultsProgram, DISABLED_Watchdog) {
  ::_exit(run_watchdog(0));
}
// Waits until it is had.
Fd lock_file(const std::filesystem::path& path) {
  Fd fd = open_file(path, O_RDWR | O_CREAT);
  EXPECT_EQ(::flock(fd.get(), LOCK_EX), 0);
  return fd;
}
TEST(FaultsProgram, DISABLED_Holder) {
  Config config;
  config.url = std::getenv("LIFEBOAT_TEST_URL");
  const std::vector<TableRef> tables = {{std::getenv("LIFEBOAT_TEST_DATABASE"), "k"}};
  Client client(config);
  const Fd lock = lock_file(std::getenv("LIFEBOAT_TEST_LOCK"));
  HoldWatchdog watchdog(this_program("FaultsProgram.DISABLED_Watchdog"), config, tables, &lock);
  Hold hold(client, tables, Deadline::after(Millis(120000)), Cancel());
  ASSERT_EQ(::write(3, "h", 1), 1);
  ::pause();
}

// Starts the holder and returns its pid once it holds.
pid_t start_holder(const std::string& url, const std::string& database,
                   const std::filesystem::path& lock) {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  ::setenv("LIFEBOAT_TEST_URL", url.c_str(), 1);
  ::setenv("LIFEBOAT_TEST_DATABASE", database.c_str(), 1);
  ::setenv("LIFEBOAT_TEST_LOCK", lock.c_str(), 1);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, fds[1], 3);
  auto argv = this_program("FaultsProgram.DISABLED_Holder");
  std::vector<char*> arguments;
  for (auto& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  EXPECT_EQ(::posix_spawn(&pid, argv[0].c_str(), &files, nullptr, arguments.data(), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  ::close(fds[1]);
  char held = 0;
  EXPECT_EQ(::read(fds[0], &held, 1), 1) << "the holder ended before it held";
  ::close(fds[0]);
  return pid;
}

class RealFaults : public ::testing::Test {
 protected:
  // Servers of its own: they are killed.
  static void SetUpTestSuite() {
    stack_ = std::make_unique<test::StackProcess>(std::vector<std::string>{"kafka", "clickhouse"});
  }
  static void TearDownTestSuite() { stack_.reset(); }
  static std::unique_ptr<test::StackProcess> stack_;

  Client client_{server_config(*stack_)};
  KafkaSide kafka_{stack_->info().at("kafka").at("bootstrap").get<std::string>()};
  Cancel cancel_;
  const std::filesystem::path lock_ =
      std::filesystem::temp_directory_path() / fmt::format("lifeboat-hold-{}.lock", ::getpid());
  ~RealFaults() override { std::filesystem::remove(lock_); }

  bool consumes(const std::vector<TableRef>& tables, std::uint64_t rounds = 2) {
    const auto start = consumer_activity(client_, tables).commits;
    return eventually([&] { return consumer_activity(client_, tables).commits >= start + rounds; });
  }
};
std::unique_ptr<test::StackProcess> RealFaults::stack_;

TEST_F(RealFaults, TheWatchdogReleasesWhenItsParentIsKilled) {
  const auto p = create_pipeline(client_, kafka_, "watched", 0);
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 1000);
  const std::vector<TableRef> tables = {p.table("k")};
  ASSERT_TRUE(consumes(tables));
  const pid_t holder = start_holder(client_.url(), p.database, lock_);
  const auto held = consumer_activity(client_, tables).commits;
  std::this_thread::sleep_for(Millis(2000));  // proves an absence: longer than any round here
  EXPECT_EQ(consumer_activity(client_, tables).commits, held);
  ASSERT_EQ(::kill(holder, SIGKILL), 0);
  ASSERT_EQ(::waitpid(holder, nullptr, 0), holder);
  EXPECT_TRUE(consumes(tables)) << "the watchdog has started the table";
  load.stop();
  client_.execute("DROP DATABASE watched SYNC");
}

TEST_F(RealFaults, WhoWaitsForAWatchdogsLockIsNotDisturbedByIt) {
  const auto p = create_pipeline(client_, kafka_, "locked", 0);
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 1000);
  const std::vector<TableRef> tables = {p.table("k")};
  ASSERT_TRUE(consumes(tables));
  const pid_t holder = start_holder(client_.url(), p.database, lock_);
  ASSERT_EQ(::kill(holder, SIGKILL), 0);
  ASSERT_EQ(::waitpid(holder, nullptr, 0), holder);
  const Fd ours = lock_file(lock_);
  Hold hold(client_, tables, Deadline::after(Millis(120000)), cancel_);
  std::this_thread::sleep_for(Millis(3000));  // a watchdog starts the table twice, a second apart
  EXPECT_NO_THROW(hold.check_still());
  hold.release();
  load.stop();
  client_.execute("DROP DATABASE locked SYNC");
}

TEST_F(RealFaults, ADisarmedWatchdogDoesNothing) {
  HoldWatchdog watchdog(this_program("FaultsProgram.DISABLED_Watchdog"), client_.config(),
                        {{"no", "table"}});
  watchdog.disarm();
  watchdog.disarm();
  EXPECT_THROW(HoldWatchdog({"/no/such/program"}, client_.config(), {{"no", "table"}}), Error);
}

TEST_F(RealFaults, AServerThatIsKilledInAHoldConsumesAgain) {
  const auto p = create_pipeline(client_, kafka_, "killed", 0);
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 1000);
  const std::vector<TableRef> tables = {p.table("k")};
  ASSERT_TRUE(consumes(tables));
  {
    Hold hold(client_, tables, Deadline::after(Millis(120000)), cancel_);
    stack_->command("kill clickhouse");
    EXPECT_THROW(hold.check_still(), Error);
    try {
      hold.release(Millis(500));
      FAIL() << "nobody is there to start it";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      EXPECT_THAT(error.hint(), ::testing::HasSubstr("SYSTEM START `killed`.`k`"));
    }
    stack_->command("start clickhouse");
    EXPECT_THROW(hold.check_still(), Error) << "other consumers: what was read is void";
  }
  repair(client_, tables);
  EXPECT_TRUE(consumes(tables));
  load.stop();
  client_.execute("DROP DATABASE killed SYNC");
}

// Rows below the position of each partition, each once: what exactness of a restore of a lost Kafka
// rests on.
std::string differs(Client& client, const Pipeline& p, const FrozenPositions& frozen) {
  Cursors cursors;
  for (const auto& position : frozen.positions) {
    if (!position.current) return "a position is not known";
    cursors[position.partition] = *position.current;
  }
  return differs_from_cut(client, p.database, cursors);
}

TEST_F(RealFaults, PositionsAreExactWhenKafkaIsLost) {
  for (int round = 0; round < 2; ++round) {
    const auto p =
        create_pipeline(client_, kafka_, "lost" + std::to_string(round), round == 0 ? 0.5 : 0.0);
    auto load = std::make_unique<Load>(kafka_.bootstrap(), p.topic, p.partitions, 5000);
    const std::vector<TableRef> tables = {p.table("k")};
    ASSERT_TRUE(eventually([&] { return count_rows(client_, p.table("e")) > 10000; }));
    stack_->command("kill kafka");
    const auto begin = std::chrono::steady_clock::now();
    const auto frozen =
        freeze_positions(client_, tables, Millis(3000), Deadline::after(Millis(120000)), cancel_);
    std::printf("round %d: frozen after %.1f s, idle: %d\n", round,
                seconds_between(begin, std::chrono::steady_clock::now()), frozen.idle ? 1 : 0);
    EXPECT_EQ(frozen.positions.size(), 4u);
    load.reset();
    EXPECT_EQ(differs(client_, p, frozen), "");
    stack_->command("wipe kafka");
    stack_->command("start kafka");
    const auto back = std::chrono::steady_clock::now();
    confirm_frozen(client_, tables, frozen, Deadline::after(Millis(120000)), cancel_);
    std::printf("round %d: confirmed %.1f s after the broker was back\n", round,
                seconds_between(back, std::chrono::steady_clock::now()));
    EXPECT_EQ(differs(client_, p, frozen), "") << "nothing came in between";
    client_.execute("DROP DATABASE " + p.database + " SYNC");
  }
}

}  // namespace
}  // namespace lifeboat::clickhouse
