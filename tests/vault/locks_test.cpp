// What is locked before a point is published, and what a pruner leaves alone.
#include "vault/locks.hpp"

#include "store/around_store.hpp"
#include "vault/chunks.hpp"
#include "vault/prune.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

constexpr Millis kDay{86'400'000};
constexpr Millis kRetain = 32 * kDay;
constexpr Millis kGrace = kDay;

// Counts what is asked about locks.
class CountingStore : public store::AroundStore {
 public:
  using AroundStore::AroundStore;
  std::atomic<int> stats{0}, locks{0};

 private:
  void around(store::Call& call, const Answer&, const std::function<void()>& pass_on) override {
    if (call.op == store::Op::stat) ++stats;
    if (call.op == store::Op::lock) ++locks;
    pass_on();
  }
};

struct LocksTest : ::testing::TestWithParam<Kind> {
  ManualClock clock{*parse_timestamp("2026-11-22T17:05:06.123Z")};
  Random random{7};
  Cancel cancel;
  MemoryStore memory{lock_rule(kRetain), clock};
  CountingStore store{memory};
  Vault vault = make_vault(GetParam(), store, clock, random);
  KnownLocks known;
  LocksDone done;

  // A point whose only pack holds the content, or one that is there and holds it.
  std::string take(const std::string& content) {
    RecoveryPoint point;
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    open_point(vault, {point.id, point.created, "", "db1", "/state", 1, {}, ""});
    ChunkOptions options;
    options.absent = condemned_packs(vault);
    options.clock = &clock;
    options.seed = random.next();
    Chunks chunks(vault, std::move(options));
    SnapshotWriter tree(chunks, "test");
    tree.add_file("file", 0600, Timestamp(0), content);
    const auto id = tree.finish({{"point", point.id}});
    point.stores["store"] = {{"snapshot", id.hex()}};
    auto names = chunks.used_packs();
    EXPECT_FALSE(names.empty());
    names.insert(snapshot_name(vault, id));
    done = lock_content(vault, {names.begin(), names.end()}, kRetain, known, clock, cancel);
    point.finished = clock.now();
    publish_point(vault, point);
    return point.id;
  }

  PruneReport run_prune(bool dry_run = false) {
    PruneOptions options;
    options.policy.last = 1;
    options.grace = kGrace;
    options.dry_run = dry_run;
    return prune(vault, options, clock, random, cancel);
  }

  Timestamp locked(const std::string& name) {
    const auto until = memory.locked_until(name);
    EXPECT_TRUE(until) << name;
    return until.value_or(Timestamp(0));
  }
  std::vector<std::string> packs() {
    std::vector<std::string> out;
    for (const auto& pack : list_packs(vault)) out.push_back(pack.name);
    return out;
  }
};
LIFEBOAT_ON_BOTH_KINDS(LocksTest);

TEST_P(LocksTest, WhatIsWrittenOnceIsLockedAndWhatIsReplacedIsNot) {
  const auto rule = lock_rule(kRetain);
  for (const char* name :
       {"vault", "keys/0123456789abcdef", "packs/a", "snapshots/a", "logbook/a/0"}) {
    EXPECT_EQ(rule(name, store::Write::create), 40 * kDay) << name;
  }
  for (const char* name :
       {"points/a", "prune/a", "index/a/0", "probe/a", "capabilities", "vaults"}) {
    EXPECT_EQ(rule(name, store::Write::create), Millis(0)) << name;
  }
  EXPECT_EQ(rule("points/a", store::Write::replace), kRetain);
  EXPECT_EQ(rule("prune/a", store::Write::replace), Millis(0));
}

// At every moment, what a published point needs is locked at least as long as the point.
TEST_P(LocksTest, ContentIsLockedAtLeastAsLongAsThePointsThatUseIt) {
  for (int day = 0; day < 100; ++day) {
    const auto id = take("the same content");
    const auto until = locked(point_name(id));
    EXPECT_EQ(until, clock.now() + kRetain.count());
    for (const auto& pack : packs()) EXPECT_GE(locked(pack), until) << pack << " on day " << day;
    for (const auto& snapshot : snapshots_of(read_point(vault, id))) {
      EXPECT_GE(locked(snapshot_name(vault, snapshot)), until);
    }
    clock.advance(kDay);
  }
}

TEST_P(LocksTest, WhatIsKnownToBeLockedIsNotAskedFor) {
  take("the same content");
  EXPECT_EQ(done.asked, packs().size() + 1);  // and the snapshot
  EXPECT_EQ(done.locked, 0u);
  int asked = 0, again = 0;
  const auto before = store.locks.load();
  for (int hour = 0; hour < 24 * 32; ++hour) {
    clock.advance(kDay / 24);
    known = decode_locks(encode_locks(known, vault.id()), vault.id());
    take("the same content");
    asked += static_cast<int>(done.asked);
    again += static_cast<int>(done.locked);
  }
  // Each new snapshot once, its lists' packs likewise; an old pack each fourth day.
  EXPECT_LE(again, 9 * static_cast<int>(packs().size()));
  EXPECT_EQ(store.locks - before, again);
  EXPECT_LE(asked, 24 * 32 * 2 + again);
}

TEST_P(LocksTest, WhoKnowsNothingAsks) {
  take("the same content");
  const auto text = encode_locks(known, vault.id());
  EXPECT_EQ(decode_locks(text, vault.id()), known);
  EXPECT_TRUE(decode_locks(text, "another vault").empty());
  EXPECT_TRUE(decode_locks(text + "x", vault.id()).empty());
  EXPECT_TRUE(decode_locks("", vault.id()).empty());
  known.clear();
  take("the same content");
  EXPECT_GE(done.asked, 2u);
  EXPECT_EQ(done.locked, 0u);
}

TEST_P(LocksTest, WhatIsGoneIsSaid) {
  const auto error =
      error_of([&] { lock_content(vault, {"packs/gone"}, kRetain, known, clock, cancel); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_EQ(error.subject(), "object packs/gone");
}

TEST_P(LocksTest, APrunerLeavesAloneWhatIsLocked) {
  const auto first = take("one");
  const auto only_first = packs();
  clock.advance(2 * kDay);
  const auto second = take("two");
  auto report = run_prune();
  ASSERT_EQ(report.points.size(), 2u);
  EXPECT_TRUE(report.points[0].keep);
  EXPECT_EQ(report.points[0].reasons[0], "locked until " + to_string(locked(point_name(first))));
  EXPECT_TRUE(report.dropped.empty());
  EXPECT_TRUE(report.steps.empty());

  clock.advance(31 * kDay);  // the first point's lock has ended, not that of its content
  report = run_prune();
  EXPECT_EQ(report.dropped, std::vector<std::string>{first});
  ASSERT_EQ(report.steps.size(), 1u);
  EXPECT_TRUE(report.steps[0].word.packs.empty() && report.steps[0].word.snapshots.empty());
  ASSERT_TRUE(report.locked);
  EXPECT_EQ(report.locked->packs, only_first.size());
  EXPECT_EQ(report.locked->snapshots, 1u);
  EXPECT_GT(report.locked->bytes, ByteCount(0));
  EXPECT_EQ(report.locked->first, locked(only_first.front()));
  for (const auto& pack : only_first) EXPECT_TRUE(memory.stat(pack)) << pack;

  clock.advance(8 * kDay);  // now that as well
  report = run_prune();
  EXPECT_FALSE(report.locked);
  ASSERT_EQ(report.steps.size(), 2u);  // that of the point is finished
  EXPECT_EQ(report.steps[1].word.packs, only_first);
  clock.advance(2 * kDay);
  run_prune();
  for (const auto& pack : only_first) EXPECT_FALSE(memory.stat(pack)) << pack;
  EXPECT_EQ(verify(vault, {}, cancel).damages.size(), 0u);
  EXPECT_EQ(list_points(vault).size(), 1u);
  EXPECT_EQ(list_points(vault)[0].id, second);
}

// Between naming and deleting: a backup that took it for its own, and then died.
TEST_P(LocksTest, WhatWasLockedAgainSinceItWasNamedStays) {
  const auto first = take("one");
  const auto only_first = packs();
  clock.advance(41 * kDay);
  take("two");
  auto report = run_prune();
  ASSERT_EQ(report.steps.size(), 1u);
  EXPECT_EQ(report.dropped, std::vector<std::string>{first});
  ASSERT_TRUE(memory.lock_until(only_first.front(), clock.now() + kRetain.count()));
  clock.advance(2 * kDay);
  report = run_prune();
  EXPECT_TRUE(memory.stat(only_first.front()));
  ASSERT_TRUE(report.locked);
  EXPECT_EQ(report.locked->packs, 1u);
}

TEST_P(LocksTest, ADryRunTellsOfLocks) {
  take("one");
  clock.advance(33 * kDay);
  take("two");
  const auto report = run_prune(true);
  EXPECT_TRUE(report.dropped.empty());
  ASSERT_TRUE(report.locked);
  EXPECT_GT(report.locked->packs, 0u);
}

}  // namespace
}  // namespace lifeboat::vault
