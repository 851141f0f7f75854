#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "clickhouse/restore.hpp"
#include "real_support.hpp"

namespace lifeboat::clickhouse {
namespace {

struct Crash {};

// A journal in memory whose n-th call ends the run.
struct CrashingJournal {
  std::set<TableRef> begun, done;
  int left = 0;

  void step() {
    if (left-- == 0) throw Crash();
  }
  RestoreJournal journal() {
    return {[this](const TableRef& t) { return begun.contains(t); },
            [this](const TableRef& t) { return done.contains(t); },
            [this](const TableRef& t) {
              step();
              begun.insert(t);
              step();
            },
            [this](const TableRef& t) {
              step();
              done.insert(t);
              step();
            }};
  }
};

class RealRestore : public ::testing::Test {
 protected:
  test::StackProcess& stack_ = test::StackProcess::shared({"kafka", "clickhouse"});
  Client client_{server_config(stack_)};
  KafkaSide kafka_{stack_.info().at("kafka").at("bootstrap").get<std::string>()};
  BackupPlace place_ = backup_place(stack_);
  Cancel cancel_;

  std::vector<RestoredTable> in_place(const std::vector<TableRef>& tables) {
    std::vector<RestoredTable> out;
    for (const auto& table : tables) out.push_back({table, table});
    return out;
  }
};

nlohmann::json definitions(const SchemaGraph& graph) {
  auto json = to_json(graph);
  auto tables = nlohmann::json::array();
  for (auto& table : json["tables"]) {
    if (table["kind"] == "inner") continue;  // its name holds the new view's uuid
    for (const char* varies : {"uuid", "rows", "bytes"}) table.erase(varies);
    tables.push_back(table);
  }
  json["tables"] = tables;
  for (auto& view : json["views"]) {
    if (view["inner_target"]) view.erase("target");
  }
  return json;
}

void expect_sums(Client& client, std::uint64_t expected) {
  for (const char* sums : {"s", "inner_mv", "slow", "from_kafka"}) {
    nlohmann::json sum;
    EXPECT_TRUE(eventually([&] {
      sum = client.row("SELECT sum(n) AS n FROM comeback." + std::string(sums)).at("n");
      return sum == expected;
    })) << sums
        << ": " << sum << " of " << expected;
  }
}

TEST_F(RealRestore, EverythingComesBackInOrderAndConsumptionGoesOn) {
  const auto p = create_pipeline(client_, kafka_, "comeback", 0);
  client_.execute("CREATE VIEW comeback.z_view AS SELECT id FROM comeback.e");
  client_.execute("CREATE VIEW comeback.a_view AS SELECT * FROM comeback.z_view");
  client_.execute(
      "CREATE MATERIALIZED VIEW comeback.from_kafka ENGINE = SummingMergeTree ORDER BY "
      "b AS SELECT toUInt8(id % 2) AS b, count() AS n FROM comeback.k GROUP BY b");
  // A view gets nothing of a stream that had begun before it was made.
  detach_kafka_tables(client_, {p.table("k")});
  attach_kafka_tables(client_, {p.table("k")});
  Load load(kafka_.bootstrap(), p.topic, p.partitions, 4000);
  ASSERT_TRUE(eventually([&] { return count_rows(client_, p.table("e")) > 3000; }));
  const auto graph = read_schema(client_, {p.database});
  CutRequest request;
  request.kafka_tables = kafka_table_refs(graph);
  request.backup_tables = data_tables(graph);
  request.groups = consumer_groups(graph);
  request.committed = [&](const std::string& group) {
    return kafka_.committed(group, p.topic, p.partitions);
  };
  request.place = place_;
  request.name = fresh_name();
  const auto cut = take_cut(client_, request, cancel_);
  wait_finished(client_, cut.backup_id, cancel_);
  load.stop();
  ASSERT_TRUE(eventually([&] {
    return count_rows(client_, p.table("e")) >= static_cast<std::uint64_t>(load.acknowledged());
  }));
  const auto after = kafka_.committed(p.group, p.topic, p.partitions);

  EXPECT_GE(existing_tables(client_, {p.database}).size(), 10u);
  drop_databases(client_, {p.database});
  EXPECT_TRUE(existing_tables(client_, {p.database}).empty());

  const auto order = restore_order(graph);
  CrashingJournal memory;
  memory.left = 1000;
  for (int twice = 0; twice < 2; ++twice) {  // every step can be called again
    create_databases(client_, graph);
    create_tables(client_, graph, order.first);
    restore_data(client_, place_, cut.backup_id, in_place(order.data), memory.journal(), cancel_);
    create_tables(client_, graph, order.definitions);
    create_tables(client_, graph, order.views);
  }
  EXPECT_EQ(differs_from_cut(client_, p.database, cut.cursors.at(p.group)), "");
  EXPECT_EQ(client_.row("SELECT sum(n) AS n FROM comeback.from_kafka").at("n"),
            count_rows(client_, p.table("e")));
  create_tables(client_, graph, order.kafka);
  EXPECT_EQ(definitions(read_schema(client_, {p.database})), definitions(graph));

  // Nobody moved the group's cursors here: it goes on behind all that was consumed before.
  Load more(kafka_.bootstrap(), p.topic, p.partitions, 2000);
  Cursors target;
  for (const auto& [partition, offset] : after) target[partition] = offset + 50;
  wait_consuming(client_, order.kafka, target, Deadline::after(Millis(120000)), cancel_);
  more.stop();
  std::uint64_t expected = static_cast<std::uint64_t>(more.acknowledged());
  for (const auto& [partition, offset] : cut.cursors.at(p.group)) {
    expected += static_cast<std::uint64_t>(offset.value);
  }
  EXPECT_TRUE(eventually([&] { return count_rows(client_, p.table("e")) >= expected; }));
  EXPECT_EQ(count_rows(client_, p.table("e")), expected);
  expect_sums(client_, expected);
  drop_databases(client_, {p.database});
  remove_backup(place_, cut.backup_id);
}

class RealRestoreData : public RealRestore {
 protected:
  void SetUp() override {
    client_.execute("CREATE DATABASE crashed");
    for (int t = 0; t < 3; ++t) {
      tables_.push_back({"crashed", "t" + std::to_string(t)});
      client_.execute("CREATE TABLE " + tables_.back().quoted() +
                      " (id UInt64, x String) ENGINE = MergeTree ORDER BY id");
      client_.execute("INSERT INTO " + tables_.back().quoted() +
                      " SELECT number, toString(number) FROM numbers(10000)");
    }
    name_ = start_backup(client_, place_, fresh_name(), tables_);
    wait_finished(client_, name_, cancel_);
    client_.execute("DROP DATABASE crashed SYNC");
    client_.execute("CREATE DATABASE crashed");
  }
  void TearDown() override {
    drop_databases(client_, {"crashed"});
    remove_backup(place_, name_);
  }
  void expect_exact() {
    for (const auto& table : tables_) {
      const auto row =
          client_.row("SELECT count() AS n, uniqExact(id) AS u FROM " + table.quoted());
      EXPECT_EQ(row.at("n"), 10000u) << to_string(table);
      EXPECT_EQ(row.at("u"), 10000u) << to_string(table);
    }
  }
  std::vector<TableRef> tables_;
  std::string name_;
};

TEST_F(RealRestoreData, ACrashAtAnyStepOfTheJournalDoublesNothing) {
  for (int n : {1, 2, 3, 12}) {  // around a table's begin and finish; 12 calls in all
    CrashingJournal memory;
    memory.left = n;
    bool crashed = false;
    try {
      restore_data(client_, place_, name_, in_place(tables_), memory.journal(), cancel_);
    } catch (const Crash&) {
      crashed = true;
    }
    EXPECT_EQ(crashed, n < 12) << n;
    memory.left = 1000;
    restore_data(client_, place_, name_, in_place(tables_), memory.journal(), cancel_);
    expect_exact();
    for (const auto& table : tables_) client_.execute("DROP TABLE " + table.quoted() + " SYNC");
  }
}

TEST_F(RealRestoreData, ARestoreThatACrashedRunLeftGoingIsEnded) {
  CrashingJournal memory;
  memory.left = 1000;
  memory.begun.insert(tables_[0]);
  // As restore_data starts it; its process then died.
  client_.execute("RESTORE TABLE " + tables_[0].quoted() + " FROM Disk('" + place_.disk + "', '" +
                      name_ + "') SETTINGS id = 'lifeboat-restore-crashed' ASYNC",
                  {{"max_backup_bandwidth", "1000"}});
  const auto left = backup_status(client_, "lifeboat-restore-crashed");
  ASSERT_TRUE(left);
  std::printf("the abandoned restore was %s\n", left->status.c_str());
  restore_data(client_, place_, name_, in_place(tables_), memory.journal(), cancel_);
  EXPECT_NE(backup_status(client_, "lifeboat-restore-crashed")->state,
            BackupStatus::State::running);
  expect_exact();
}

TEST_F(RealRestoreData, ATableThatWasThereBeforeIsNotTouched) {
  client_.execute("CREATE TABLE crashed.t1 (mine UInt8) ENGINE = MergeTree ORDER BY mine");
  client_.execute("INSERT INTO crashed.t1 VALUES (7)");
  CrashingJournal memory;
  memory.left = 1000;
  try {
    restore_data(client_, place_, name_, in_place(tables_), memory.journal(), cancel_);
    FAIL() << "must refuse";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::refused);
    EXPECT_EQ(error.subject(), "crashed.t1");
  }
  EXPECT_EQ(count_rows(client_, {"crashed", "t1"}), 1u);
}

TEST_F(RealRestoreData, ABackupThatIsDamagedIsSaid) {
  CrashingJournal memory;
  memory.left = 1000;
  std::string victim;
  BackupFiles(place_, name_).for_each_stored([&](const std::string& file, ByteCount) {
    if (file.ends_with("data.bin")) victim = file;
  });
  ASSERT_FALSE(victim.empty());
  std::filesystem::remove(place_.path / name_ / victim);
  EXPECT_THROW(BackupFiles(place_, name_).for_each_stored([](const std::string&, ByteCount) {}),
               Error);
  EXPECT_THROW(restore_data(client_, place_, name_, in_place(tables_), memory.journal(), cancel_),
               Error);
}

}  // namespace
}  // namespace lifeboat::clickhouse
