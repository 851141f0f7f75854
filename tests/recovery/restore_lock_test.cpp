#include "recovery/restore_lock.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.hpp"
#include "recovery/restore_session.hpp"
#include "restore_fixture.hpp"

namespace lifeboat::recovery {
namespace {

class Locks : public testing::Test {
 protected:
  Locks() {
    std::string folder = std::filesystem::temp_directory_path() / "lifeboat-lock-XXXXXX";
    config.state = ::mkdtemp(folder.data());
  }
  ~Locks() override { std::filesystem::remove_all(config.state); }
  Config config;
  Random random{1};
  Cancel cancel;
  Notes reporter;
  Context context{config, Clock::real(), random, cancel, reporter};
};

TEST_F(Locks, NoPointDuringARestoreAndNoSecondRestore) {
  {
    auto restore = RestoreLock::for_restore(context);
    EXPECT_FALSE(RestoreLock::for_point(config));
    EXPECT_THROW(RestoreLock::for_restore(context), Error);
  }
  EXPECT_TRUE(RestoreLock::for_point(config));
}

TEST_F(Locks, ARestoreWaitsForAPointAndSaysSo) {
  auto point = RestoreLock::for_point(config);
  ASSERT_TRUE(point);
  EXPECT_TRUE(RestoreLock::for_point(config)) << "points do not keep each other out here";
  cancel.request();
  EXPECT_THROW(RestoreLock::for_restore(context), Error);
  EXPECT_EQ(reporter.all().size(), 1u);
}

TEST_F(Locks, OneHoldAtATime) {
  {
    const auto hold = HoldLock::take(context);
    EXPECT_TRUE(reporter.all().empty());
    cancel.request();
    EXPECT_THROW(HoldLock::take(context), Error);
    EXPECT_EQ(reporter.all().size(), 1u);
  }
  EXPECT_NO_THROW(HoldLock::take(context));
}

TEST_F(Locks, NoPointWhileAnUnfinishedRestoreHasDetachedTables) {
  Plan plan;
  plan.id = "20261128T170500000Z-0001";
  plan.stores = {Store::zookeeper};
  save_plan(config, plan);
  clickhouse::SchemaGraph with, without;
  with.tables.emplace_back().ref = {"posthog", "kafka_events"};
  Journal journal(config, plan.id);
  EXPECT_NO_THROW(refuse_while_detached(config, without)) << "nothing was detached yet";
  journal.data()["zookeeper_detached"] = {
      {"tables", nlohmann::json::array({{"posthog", "kafka_events"}})}};
  journal.save();
  EXPECT_NO_THROW(refuse_while_detached(config, with)) << "it is back";
  EXPECT_THROW(refuse_while_detached(config, without), Error);
  journal.mark_done("all");
  EXPECT_NO_THROW(refuse_while_detached(config, without)) << "dropped since, by whomever";
}

}  // namespace
}  // namespace lifeboat::recovery
