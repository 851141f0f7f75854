#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "clickhouse/restore.hpp"
#include "real_support.hpp"

namespace lifeboat::clickhouse {
namespace {

using ::testing::HasSubstr;

class RealCut : public ::testing::Test {
 protected:
  test::StackProcess& stack_ = test::StackProcess::shared({"kafka", "clickhouse"});
  Client client_{server_config(stack_)};
  KafkaSide kafka_{stack_.info().at("kafka").at("bootstrap").get<std::string>()};
  BackupPlace place_ = backup_place(stack_);
  Cancel cancel_;

  CutRequest request(const Pipeline& p) {
    const auto graph = read_schema(client_, {p.database});
    CutRequest request;
    request.kafka_tables = kafka_table_refs(graph);
    request.backup_tables = data_tables(graph);
    request.groups = consumer_groups(graph);
    request.committed = [this, p](const std::string& group) {
      return kafka_.committed(group, p.topic, p.partitions);
    };
    request.place = place_;
    request.name = fresh_name();
    request.idle_within = Millis(60000);
    return request;
  }
  void drop(const std::string& database) { drop_databases(client_, {database}); }

  // Restores under another database name.
  void restore_as(const std::string& backup, const std::vector<TableRef>& tables,
                  const std::string& database) {
    client_.execute("CREATE DATABASE " + database);
    std::vector<RestoredTable> wanted;
    for (const auto& table : tables) wanted.push_back({table, {database, table.name}});
    auto no = [](const TableRef&) { return false; };
    auto nothing = [](const TableRef&) {};
    restore_data(client_, place_, backup, wanted, {no, no, nothing, nothing}, cancel_);
  }
};

TEST_F(RealCut, CutsUnderLoadWithASlowViewAreExact) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto p = create_pipeline(client_, kafka_, "cuts", 0.2);
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 10000);
  ASSERT_TRUE(eventually([&] { return count_rows(client_, p.table("e")) > 5000; }));
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(Millis(random() % 1200));
    const auto wanted = request(p);
    const auto cut = take_cut(client_, wanted, cancel_);
    std::printf("cut %d: held %.3f s, %.3f s since the pause\n", i, cut.held.still,
                cut.held.since_pause);
    wait_finished(client_, cut.backup_id, cancel_);
    restore_as(cut.backup_id, wanted.backup_tables, "cuts_back");
    EXPECT_EQ(differs_from_cut(client_, "cuts_back", cut.cursors.at(p.group)), "") << i;
    EXPECT_GT(cut.held.still, 0.0);
    EXPECT_LE(cut.held.still, cut.held.since_pause);
    drop("cuts_back");
    BackupFiles(place_, cut.backup_id).for_each_stored([](const std::string&, ByteCount) {});
    remove_backup(place_, cut.backup_id);
  }
  load.stop();
  const auto goes_on = load.acknowledged();
  EXPECT_TRUE(eventually([&] {
    return count_rows(client_, p.table("e")) >= static_cast<std::uint64_t>(goes_on);
  })) << "nothing is left held";
  drop(p.database);
}

TEST_F(RealCut, RowsThatArriveAfterThePinAreNotInTheBackup) {
  client_.execute("CREATE DATABASE pins");
  std::vector<TableRef> tables;
  for (int t = 0; t < 12; ++t) {
    tables.push_back({"pins", "t" + std::to_string(t)});
    client_.execute("CREATE TABLE " + tables.back().quoted() +
                    " (id UInt64, x String) ENGINE = MergeTree ORDER BY id");
    client_.execute("INSERT INTO " + tables.back().quoted() +
                    " SELECT number, randomPrintableASCII(100) FROM numbers(50000)");
  }
  int in_time = 0;
  for (int round = 0; round < 6; ++round) {
    // So slow that it still copies when the late rows come.
    const auto id = fresh_name();
    std::string sql = "BACKUP TABLE " + tables[0].quoted();
    for (std::size_t t = 1; t < tables.size(); ++t) sql += ", TABLE " + tables[t].quoted();
    client_.execute(
        sql + " TO Disk('" + place_.disk + "', '" + id + "') SETTINGS id = '" + id + "' ASYNC",
        {{"max_backup_bandwidth", "15000000"}});
    wait_pinned(client_, id, Deadline::after(Millis(60000)), cancel_);
    // The last table first: it would be collected last.
    for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
      client_.execute("INSERT INTO " + table->quoted() + " VALUES (1000000, 'too late')");
    }
    in_time += backup_status(client_, id)->state == BackupStatus::State::running ? 1 : 0;
    wait_finished(client_, id, cancel_);
    restore_as(id, tables, "pins_back");
    for (const auto& table : tables) {
      const auto late = client_.row("SELECT countIf(id = 1000000) AS late, count() AS n FROM " +
                                    TableRef{"pins_back", table.name}.quoted());
      EXPECT_EQ(late.at("late"), static_cast<std::uint64_t>(round)) << to_string(table);
      EXPECT_EQ(late.at("n"), 50000u + static_cast<std::uint64_t>(round));
    }
    drop("pins_back");
    remove_backup(place_, id);
  }
  std::printf("%d of 6 backups still copied when all late rows were in\n", in_time);
  EXPECT_GT(in_time, 0) << "else this proves nothing: the copy must outlast the inserts";
  drop("pins");
}

TEST_F(RealCut, AHoldThatCannotBeHadIsReleased) {
  const auto p = create_pipeline(client_, kafka_, "too_slow", 2.5);
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 2000);
  const std::vector<TableRef> held = {p.table("k")};
  ASSERT_TRUE(eventually([&] { return consumer_activity(client_, held).messages_read > 0; }));
  auto wanted = request(p);
  wanted.idle_within = Millis(100);
  int refused = 0;
  for (int i = 0; i < 20 && refused == 0; ++i) {
    try {
      const auto cut = take_cut(client_, wanted, cancel_);
      wanted.name = fresh_name();
      wait_finished(client_, cut.backup_id, cancel_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::timeout) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("too_slow.k"));
      EXPECT_FALSE(backup_status(client_, wanted.name)) << "nothing was backed up";
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  const auto commits = consumer_activity(client_, held).commits;
  EXPECT_TRUE(eventually([&] { return consumer_activity(client_, held).commits > commits + 1; }))
      << "it consumes again";
  Cancel stopped;
  stopped.request();
  try {
    Hold hold(client_, held, Deadline::after(Millis(60000)), stopped);
    hold.check_still();  // it was idle at once
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled);
  }
  const auto before = consumer_activity(client_, held).commits;
  EXPECT_TRUE(eventually([&] { return consumer_activity(client_, held).commits > before + 1; }));
  load.stop();
  drop(p.database);
}

TEST_F(RealCut, ATableThatSomebodyStartedVoidsTheHold) {
  const auto p = create_pipeline(client_, kafka_, "meddled", 0);
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 2000);
  const std::vector<TableRef> held = {p.table("k")};
  ASSERT_TRUE(eventually([&] { return consumer_activity(client_, held).messages_read > 0; }));
  Hold hold(client_, held, Deadline::after(Millis(60000)), cancel_);
  hold.check_still();
  repair(client_, {held[0], {"meddled", "not_there"}, {"no_database", "k"}});
  repair(client_, held);  // START of a table that runs is harmless
  EXPECT_TRUE(eventually([&] {
    try {
      hold.check_still();
      return false;
    } catch (const Error& error) {
      return error.code() == Code::conflict;
    }
  }));
  const auto times = hold.release();
  EXPECT_EQ(hold.release().still, times.still);
  load.stop();
  drop(p.database);
}

TEST_F(RealCut, ErrorsHaveTheirKinds) {
  auto code = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("hunter2")));
      return error.code();
    }
    return Code::usage;
  };
  Config wrong = server_config(stack_);
  wrong.password = "hunter2";
  EXPECT_EQ(code([&] { Client(wrong).execute("SELECT 1"); }), Code::denied);
  Config nowhere = server_config(stack_);
  nowhere.url = "http://127.0.0.1:1";
  EXPECT_EQ(code([&] { Client(nowhere).execute("SELECT 1"); }), Code::unavailable);
  EXPECT_EQ(code([&] { client_.execute("SELECT * FROM no_such.table"); }), Code::not_found);
  EXPECT_EQ(code([&] { client_.execute("SELECT throwIf(1, 'password = ''hunter2''')"); }),
            Code::failed);
  EXPECT_EQ(code([&] {
              client_.execute(
                  "CREATE TABLE x ENGINE = Kafka SETTINGS "
                  "kafka_sasl_password = 'hunter2' nonsense");
            }),
            Code::unsupported);
  EXPECT_EQ(code([&] { read_schema(client_, {"no_such_database"}); }), Code::not_found);
  EXPECT_EQ(code([&] { disk_path(client_, "no_such_disk"); }), Code::not_found);
  Config small = server_config(stack_);
  small.max_answer = ByteCount(1000);
  EXPECT_EQ(code([&] { Client(small).execute("SELECT repeat('x', 5000)"); }), Code::corrupt);
  Config hasty = server_config(stack_);
  hasty.request_timeout = Millis(300);
  EXPECT_EQ(code([&] { Client(hasty).execute("SELECT sleep(3)"); }), Code::timeout);
  EXPECT_TRUE(server_info(client_).can_pause);
  EXPECT_THROW(require_pause({"25.3.1.1", 25, 3, "UTC", false}, client_.url()), Error);
  const auto id = start_backup(client_, place_, fresh_name(), {{"no_such", "table"}});
  EXPECT_EQ(code([&] { wait_finished(client_, id, cancel_); }), Code::not_found);
  EXPECT_EQ(code([&] { wait_finished(client_, "lifeboat-never", cancel_); }), Code::unavailable);
}

TEST_F(RealCut, ManyThreadsShareAClient) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const int sum = client_.row(fmt::format("SELECT {} + {} AS x", t, i)).at("x");
        right += sum == t + i ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
}

}  // namespace
}  // namespace lifeboat::clickhouse
