// What prune takes of the logbook between a restore's plan and its pin, and what a pruner takes
// that looked at the pins before: the restore says so, and does not come back with less.
#include "recovery/restore_logs.hpp"

#include <latch>
#include <thread>

#include "recovery/targets.hpp"
#include "restore_fixture.hpp"
#include "vault/logbook_writer.hpp"

namespace lifeboat::recovery {
namespace {

using vault::kGrace;
using vault::kHour;

const vault::LogName kWal{"postgres/1/00000001"};
const vault::LogName kTopic{"kafka/c/t/events/0"};

struct RestoreLogsTest : RestoreTest {
  std::int64_t end = 0;  // of both logs

  RestoreLogsTest() { config.postgres.emplace().data_directory = config.state / "data"; }

  void archive(int hours) {
    for (int i = 0; i < hours; ++i) {
      vault::LogbookWriter writer(vault, {}, clock, random);
      for (const auto& log : {kWal, kTopic})
        writer.append(vault::extent(log.value, end, end + 100), vault::wal(end, end + 100), cancel);
      writer.close(cancel);
      end += 100;
      clock.advance(kHour);
    }
  }

  vault::RecoveryPoint take_point() {
    vault::Backup backup(vault, clock, random);
    const auto& chunks = backup.chunks;
    auto snapshot_of = [&](const std::string& file, const std::string& content) {
      vault::SnapshotWriter tree(*chunks, "test");
      tree.add_file(file, 0600, Timestamp(0), content);
      return tree.finish({{"point", backup.point.id}, {"of", file}}).hex();
    };
    const KafkaDocument kafka{"c", {{"events", "t", 1, 1, {}}}, {}, {}};
    backup.point.stores["postgres"] = {
        {"snapshot", snapshot_of("PG_VERSION", "15")},
        {"logs", {{{"log", kWal.value}, {"position", end - 50}, {"until", end}}}}};
    backup.point.stores["kafka"] = {{"snapshot", snapshot_of("kafka.json", to_json(kafka).dump())},
                                    {"start", end - 100}};
    backup.publish();
    return backup.point;
  }

  // The window begins a good while after the first of these points.
  vault::RecoveryPoint some_points() {
    archive(3);
    auto first = take_point();
    for (int i = 0; i < 3; ++i) {
      archive(8);
      take_point();
    }
    return first;
  }

  static vault::PruneOptions windowed() {
    vault::PruneOptions out;
    out.policy.last = 9;
    out.policy.logbook = 10 * kHour;
    out.grace = kGrace;
    out.host = "pruner";
    out.log_starts = [](const auto& points, auto& logs) {
      for (std::size_t i = 0; i < points.size(); ++i) {
        const auto start = points[i]->stores["kafka"]["start"].template get<std::int64_t>();
        logs[i].starts.push_back({kTopic, Position(start), {}});
      }
    };
    return out;
  }
  // Names what lies before the window; done again when the grace period has passed, prunes it.
  void prune_once() { prune_now(windowed()); }
  void prune_the_window() {
    prune_once();
    clock.advance(kGrace);
    prune_once();
  }

  Plan plan_for(const vault::RecoveryPoint& point, std::optional<Timestamp> to = {}) {
    PlanRequest request;
    request.stores = {Store::postgres};
    request.point = point.id;
    request.to = to;
    return make_plan(context, vault, request);
  }
  Error apply_fails(const Plan& plan, store::ObjectStore& through) {
    return vault::error_of([&] { apply(context, open(through), plan, Millis(0)); });
  }
  Error apply_fails(const Plan& plan) { return apply_fails(plan, store); }
};

TEST_P(RestoreLogsTest, WhatWasPrunedSinceThePlanIsSaidAndTheNextPlanKnowsIt) {
  const auto point = some_points();
  const auto plan = plan_for(point);
  EXPECT_FALSE(plan.point_only);
  EXPECT_TRUE(plan.warnings.empty());
  prune_the_window();
  const auto error = apply_fails(plan);
  EXPECT_EQ(error.code(), Code::conflict);
  EXPECT_NE(error.message().find("the WAL that follows was pruned"), std::string::npos);
  EXPECT_NE(error.hint().find("plan anew"), std::string::npos);
  EXPECT_TRUE(vault::list_pins(vault).empty());
  EXPECT_TRUE(unfinished_plans(config).empty());
  EXPECT_FALSE(std::filesystem::exists(config.postgres->data_directory));
  EXPECT_TRUE(plan_for(point).point_only);
  EXPECT_EQ(vault::error_of([&] { plan_for(point, clock.now()); }).code(), Code::refused);
}

TEST_P(RestoreLogsTest, WhatIsOnlyNamedStaysOnceItsPointIsPinned) {
  const auto point = some_points();
  const auto plan = plan_for(point);
  prune_once();
  ASSERT_FALSE(vault::condemned_logs(vault).empty());
  Journal journal(config, plan.id);
  RestorePin pin(context, vault, plan, journal);
  RestoreLogs logs(vault, plan, pin.point());
  EXPECT_EQ(logs.gone(), std::vector<std::string>{});
  clock.advance(kGrace);
  prune_the_window();
  EXPECT_EQ(logs.gone(), std::vector<std::string>{});
  EXPECT_FALSE(plan_for(point).point_only);
  pin.release();
  prune_the_window();
  EXPECT_EQ(logs.gone().size(), 1u);
}

// It was decided before the pin was written, and is pruned after the restore has looked.
TEST_P(RestoreLogsTest, WhatIsDecidedCountsAsGone) {
  const auto point = some_points();
  const auto plan = plan_for(point);
  prune_once();
  clock.advance(kGrace);
  std::optional<Plan> next;
  vault::Sleeper slow(store, store::Op::put_if_absent, "pruned/");
  slow.meanwhile = [&] {
    EXPECT_EQ(apply_fails(plan).code(), Code::conflict);
    next = plan_for(point);
  };
  prune(open(slow), windowed(), clock, random, cancel);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->point_only);
  EXPECT_EQ(next->warnings, plan_for(point).warnings) << "the same is said in the same words";
}

// The pruner has looked at the pins, and decides when the restore is under way.
TEST_P(RestoreLogsTest, APrunerThatLookedBeforeThePinIsNoticedBeforeTheNextStep) {
  const auto point = some_points();
  const auto plan = plan_for(point);
  prune_once();
  clock.advance(kGrace);
  std::latch looked(1), go_on(1);
  vault::Sleeper slow(store, store::Op::put_if_unchanged, "prune/");
  slow.meanwhile = [&] {
    looked.count_down();
    go_on.wait();
  };
  std::thread pruner([&] {
    Random own(8);
    prune(open(slow), windowed(), clock, own, cancel);
  });
  looked.wait();
  vault::Sleeper reading(store, store::Op::get, "snapshots/");
  reading.meanwhile = [&] {
    go_on.count_down();
    pruner.join();
  };
  const auto error = apply_fails(plan, reading);
  if (pruner.joinable()) {
    ADD_FAILURE() << "the restore did not get so far: " << error.what();
    go_on.count_down();
    pruner.join();
  }
  EXPECT_EQ(error.code(), Code::conflict) << error.what();
  EXPECT_NE(error.message().find("the WAL that follows was pruned"), std::string::npos);
  EXPECT_NE(error.hint().find("--overwrite"), std::string::npos);
  EXPECT_EQ(unfinished_plans(config).size(), 1u);
  EXPECT_EQ(vault::list_pins(vault).size(), 1u);
}

TEST_P(RestoreLogsTest, OfKafkaTooAndByPartition) {
  const auto point = some_points();
  Plan plan;
  plan.stores = {Store::kafka};
  auto foreseen = [&] {
    return foresee_logs(vault, point, plan, vault::decided_logs(vault), load_logs(vault, plan));
  };
  EXPECT_TRUE(foreseen().pruned.empty());
  RestoreLogs logs(vault, plan, point);
  EXPECT_TRUE(logs.gone().empty());
  prune_the_window();
  ASSERT_EQ(foreseen().pruned.size(), 1u);
  EXPECT_NE(foreseen().pruned[0].find("partition 0 from offset 1000 on"), std::string::npos)
      << foreseen().pruned[0];
  EXPECT_EQ(logs.gone(), foreseen().pruned);
  plan.warnings = foreseen().pruned;
  EXPECT_TRUE(logs.gone().empty()) << "the plan tells it";
}

LIFEBOAT_ON_BOTH_KINDS(RestoreLogsTest);

}  // namespace
}  // namespace lifeboat::recovery
