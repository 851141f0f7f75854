// What a pruner deletes, and what it never does.
#include "vault/prune.hpp"

#include "prune_fixture.hpp"
#include "store/fault_store.hpp"

namespace lifeboat::vault {
namespace {

TEST_P(PruneTest, DropsPointsAtOnceAndContentAGracePeriodLater) {
  auto first = take({"a", "b"});
  auto second = take({"b", "c"});
  auto third = take({"c", "d"});
  clock.advance(kGrace * 2);
  auto report = prune_now(2);
  EXPECT_EQ(report.dropped, std::vector<std::string>{first});
  ASSERT_EQ(report.steps.size(), 1u);
  EXPECT_EQ(report.steps[0].state, PruneStep::State::waits);
  EXPECT_EQ(report.steps[0].word.snapshots.size(), 1u);
  EXPECT_EQ(list_points(vault).size(), 2u);
  auto before = packs();
  prune_now(2);
  EXPECT_EQ(packs(), before);
  EXPECT_TRUE(removed_outside.empty());
  clock.advance(kGrace);
  report = prune_now(2);
  EXPECT_EQ(removed_outside, std::set<std::string>{"outside-" + first});
  EXPECT_EQ(objects_of(store, "snapshots/").size(), 2u);
  EXPECT_TRUE(list_words(vault).empty());
  expect_whole();
  prune_all();
  EXPECT_EQ(list_points(vault).front().id, third);
  expect_whole();
  EXPECT_LT(packs(), before);
}

TEST_P(PruneTest, DryRunChangesNothing) {
  take({"a"});
  take({"b"});
  clock.advance(kGrace * 2);
  auto before = objects_of(store);
  auto with = options();
  with.dry_run = true;
  auto report = prune_now(with);
  EXPECT_EQ(report.points.size(), 2u);
  EXPECT_FALSE(report.points[0].keep);
  ASSERT_EQ(report.steps.size(), 1u);
  EXPECT_EQ(report.steps[0].state, PruneStep::State::planned);
  EXPECT_FALSE(report.steps[0].word.packs.empty());
  auto after = objects_of(store);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].version, after[i].version);
}

TEST_P(PruneTest, WhatAnUnfinishedBackupLeftOutsideGoesBeforeItsName) {
  take({"a"});
  clock.advance(kHour);
  const auto id = Backup(vault, clock, random).point.id;
  auto with = options();
  with.outside_unfinished = [&](const UnfinishedPoint& point) {
    return std::vector<std::string>{"outside-" + point.id};
  };
  auto run = [&] {
    clock.advance(kGrace + kHour);
    return prune_now(with);
  };
  with.dry_run = true;
  EXPECT_EQ(run().unpublished, std::vector<std::string>{"outside-" + id});
  with.dry_run = false;
  EXPECT_EQ(run().revoked, std::vector<std::string>{id});
  EXPECT_TRUE(removed_outside.empty());
  run();
  EXPECT_EQ(removed_outside, std::set<std::string>{"outside-" + id});
  EXPECT_TRUE(list_all_points(vault).unfinished.empty());
}

TEST_P(PruneTest, WhatAnUnfinishedBackupWroteGoes) {
  take({"a"});
  {
    clock.advance(kHour);
    Backup dead(vault, clock, random);
    dead.save({"x", "y"});
  }
  auto had = packs();
  clock.advance(kGrace * 2);
  prune_all();
  EXPECT_TRUE(list_all_points(vault).unfinished.empty());
  EXPECT_LT(packs(), had);
  expect_whole();
}

// The word names what it has found, it stores anew; or it does not know the word, and is seen.
TEST_P(PruneTest, ABackupThatReusesWhatIsCondemned) {
  take({"a", "b"});
  take({"c"});
  clock.advance(kGrace * 2);
  Backup before(vault, clock, random);
  before.save({"a", "b"});
  prune_now();
  before.publish();
  clock.advance(kHour);
  take({"a", "b", "d"});
  prune_all(2);
  expect_whole();
  EXPECT_EQ(list_points(vault).size(), 2u);
}

TEST_P(PruneTest, ABackupThatStallsIsRevoked) {
  take({"a", "b"});
  take({"c"});
  clock.advance(kGrace * 2);
  Backup slow(vault, clock, random);
  slow.save({"a", "b"});
  auto report = prune_now();
  EXPECT_EQ(report.steps.at(0).open, std::vector<std::string>{slow.point.id});
  clock.advance(kGrace);
  report = prune_now();
  EXPECT_EQ(report.revoked, std::vector<std::string>{slow.point.id});
  auto error = error_of([&] { slow.publish(); });
  EXPECT_EQ(error.code(), Code::conflict);
  EXPECT_NE(error.message().find("pruner"), std::string::npos) << error.message();
  expect_whole();
  EXPECT_EQ(withdraw_point(vault, slow.point.id, clock.now()), Revoked::before);
}

// A point whose bytes came cut may be one that is open: who does not know it would revoke nobody.
TEST_P(PruneTest, APointThatCannotBeReadWhenSuspectsAreListed) {
  take({"a"});
  take({"b"});
  clock.advance(kGrace * 2);
  Backup slow(vault, clock, random);
  slow.save({"a"});
  store::FaultStore cut(store, 1, {});
  Sleeper pruner(cut, store::Op::put_if_absent, "prune/");
  pruner.meanwhile = [&] { cut.spoil(point_name(slow.point.id), store::Fault::truncated_body); };
  const auto report = prune(open(pruner), options(), clock, random, cancel);
  EXPECT_FALSE(pruner.meanwhile);
  EXPECT_EQ(report.problems.size(), 1u);
  ASSERT_EQ(list_words(vault).size(), 1u);
  EXPECT_FALSE(list_words(vault)[0].word->suspects);
  prune_now();
  EXPECT_EQ(list_words(vault)[0].word->suspects->points, std::vector{slow.point.id});
}

// As long as it gives signs of life it is waited for, however long it takes.
TEST_P(PruneTest, ABackupThatLivesIsWaitedFor) {
  take({"a", "b"});
  take({"c"});
  clock.advance(kGrace * 2);
  Backup slow(vault, clock, random);
  slow.save({"a", "b"});
  prune_now();
  for (int day = 0; day < 8; ++day) {
    clock.advance(kGrace / 2);
    EXPECT_TRUE(renew_point(vault, slow.point.id, clock.now()));
    auto report = prune_now();
    EXPECT_TRUE(report.revoked.empty());
    EXPECT_EQ(report.due, clock.now() + kGrace.count());
  }
  slow.publish();
  prune_all(2);
  expect_whole();
  EXPECT_EQ(list_points(vault).size(), 2u);
  EXPECT_FALSE(renew_point(vault, slow.point.id, clock.now()));
}

TEST_P(PruneTest, ABackupThatFallsSilentIsRevoked) {
  take({"a"});
  clock.advance(kHour);
  Backup slow(vault, clock, random);
  clock.advance(kGrace);
  EXPECT_TRUE(renew_point(vault, slow.point.id, clock.now()));
  clock.advance(kGrace);
  EXPECT_TRUE(prune_now().revoked.empty());
  clock.advance(kHour);
  EXPECT_EQ(prune_now().revoked, std::vector<std::string>{slow.point.id});
  EXPECT_FALSE(renew_point(vault, slow.point.id, clock.now()));
}

TEST_P(PruneTest, ABrokenPointBlocksUntilItIsGivenUp) {
  auto broken = take({"a"});
  take({"b"});
  clock.advance(kGrace * 2);
  store.put(point_name(broken), "what is this");
  auto had = packs();
  auto report = prune_now();
  EXPECT_TRUE(report.dropped.empty());
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0].find("--drop " + broken), std::string::npos);
  clock.advance(kGrace);
  prune_now();
  EXPECT_EQ(packs(), had);
  auto with = options();
  with.drop = {broken};
  report = prune_now(with);
  EXPECT_EQ(report.dropped, std::vector<std::string>{broken});
  prune_all();
  EXPECT_LT(packs(), had);
  expect_whole();
}

// Its document can be read; what it needs cannot.
TEST_P(PruneTest, APointWhoseListCannotBeReadBlocksUntilItIsHealedOrGivenUp) {
  auto old = take({"old"});
  auto broken = take({"a"});
  auto newest = take({"b"});
  clock.advance(kGrace * 2);
  const auto root = snapshots_of(resolve_point(vault, broken)).at(0);
  const auto page = SnapshotReader(vault, root).pages().at(0).digest;
  const auto index = PackIndex::load(vault, {}, cancel);
  const auto pack = index.packs().at(index.find(page).value().pack).name;
  const auto good = *store.get(pack);
  const auto had = packs();
  damage_chunk(page);
  for (bool dry_run : {true, false}) {
    auto with = options(2);
    with.dry_run = dry_run;
    auto report = prune_now(with);
    EXPECT_TRUE(report.dropped.empty());
    ASSERT_EQ(report.points.size(), 3u);
    for (const auto& one : report.points) EXPECT_TRUE(one.keep) << "none goes";
    ASSERT_EQ(report.problems.size(), 1u);
    const auto& told = report.problems[0];
    EXPECT_NE(told.find("what point " + broken + " needs is not known"), std::string::npos);
    EXPECT_NE(told.find("--drop " + broken), std::string::npos);
    const auto named = told.find("pack " + pack);
    EXPECT_NE(named, std::string::npos) << told;
    EXPECT_EQ(told.find("pack " + pack, named + 1), std::string::npos) << told;
    clock.advance(kGrace);
  }
  EXPECT_EQ(packs(), had);
  store.put(pack, good);
  EXPECT_EQ(prune_now(options(2)).dropped, std::vector<std::string>{old});
  // An earlier word waits for it, and does not keep it from being given up.
  clock.advance(kGrace * 2);
  damage_chunk(page);
  auto report = prune_now(options(2));
  EXPECT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(packs(), had);
  auto with = options(2);
  with.drop = {broken};
  report = prune_now(with);
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.dropped, std::vector<std::string>{broken});
  prune_all();
  EXPECT_LT(packs(), had);
  EXPECT_EQ(list_points(vault).at(0).id, newest);
  expect_whole();
}

TEST_P(PruneTest, TheLastPointStays) {
  auto only = take({"a"});
  auto with = options();
  with.drop = {only};
  EXPECT_EQ(error_of([&] { prune_now(with); }).code(), Code::refused);
  prune_all();
  EXPECT_EQ(list_points(vault).size(), 1u);
  expect_whole();
}

TEST_P(PruneTest, AWordThatCannotBeReadBlocksAndBackupsStoreAnew) {
  take({"a"});
  take({"b"});
  clock.advance(kGrace * 2);
  prune_now();
  auto words = list_words(vault);
  ASSERT_EQ(words.size(), 1u);
  store.put(word_name(words[0].id), "torn");
  EXPECT_EQ(condemned_packs(vault).size(), packs());
  auto had = packs();
  take({"a", "b"});
  EXPECT_GT(packs(), had);
  clock.advance(kGrace);
  EXPECT_FALSE(prune_now().problems.empty());
  EXPECT_GT(packs(), had);
  EXPECT_EQ(verify(vault, {}, cancel).damages.at(0).kind, "word");
  store.remove(word_name(words[0].id));
  expect_whole();
}

TEST_P(PruneTest, AStoreOfOneWriterIsRefused) {
  take({"a"});
  store::record(store, {true, false, "somebody was written over"});
  EXPECT_EQ(error_of([&] { prune_now(); }).code(), Code::refused);
  auto with = options();
  with.nobody_else_writes = true;
  EXPECT_NO_THROW(prune_now(with));
}

// Two packs that hold the same, by two backups at once; words that name one of them each.
struct TwoCopies : PruneTest {
  TwoCopies() {
    clock.advance(kHour);
    Backup one(vault, clock, random);
    Backup two(vault, clock, random);
    one.chunks->has(sha256(""));  // both know what packs there are: none
    two.chunks->has(sha256(""));
    one.save({"a"});
    two.save({"a"});
    one.publish();
    two.publish();
    clock.advance(kGrace * 2);
    for (const auto& pack : objects_of(store, "packs/")) copies.push_back(pack.name);
  }

  void name(const std::string& pack, const std::string& id, bool settled) {
    PruneWord word;
    word.id = id;
    word.created = clock.now();
    word.host = "another";
    word.packs = {pack};
    if (settled) word.suspects = {clock.now(), {}};
    write_word(vault, word);
  }

  std::vector<std::string> copies;
};

TEST_P(TwoCopies, TwoWordsDoNotRelyOnEachOthersCopy) {
  ASSERT_EQ(copies.size(), 2u);
  name(copies[0], "one", false);
  name(copies[1], "two", false);
  prune_all(2);
  expect_whole();
  EXPECT_EQ(packs(), 1u);
}

// A pruner that decided, and sleeps: it deletes nothing else.
TEST_P(PruneTest, OneThatWakesUpLateDeletesOnlyWhatWasDecided) {
  take({"a", "b"});
  take({"c"});
  clock.advance(kGrace * 2);
  prune_now();
  clock.advance(kGrace);
  Sleeper slow(store);
  slow.meanwhile = [&] {
    take({"a", "b", "e"});
    prune_all(2);
    take({"a", "f"});
  };
  auto there = open(slow);
  prune(there, options(), clock, random, cancel);
  EXPECT_FALSE(slow.meanwhile);
  expect_whole();
}

// Another one drops a point, and what it needed, while this one is about to look what it needs.
TEST_P(PruneTest, APointThatIsGoneMeanwhileNeedsNothing) {
  take({"a", "b"});
  take({"c"});
  clock.advance(kGrace * 2);
  Sleeper slow(store, store::Op::get, "snapshots/");
  slow.meanwhile = [&] { prune_all(); };
  EXPECT_TRUE(prune(open(slow), options(2), clock, random, cancel).problems.empty());
  EXPECT_FALSE(slow.meanwhile);
  slow.meanwhile = [&] {
    take({"d"});
    clock.advance(kGrace * 2);
    prune_all();
  };
  EXPECT_TRUE(verify(open(slow), {}, cancel).good());
  EXPECT_FALSE(slow.meanwhile);
  expect_whole();
}

// It has announced what it drops and sleeps before it does: another one does, and finishes its
// word.
TEST_P(PruneTest, WhatAPointHasOutsideIsNotForgotten) {
  auto first = take({"a"});
  take({"b"});
  clock.advance(kGrace * 2);
  Sleeper slow(store, store::Op::remove, point_name(first));
  slow.meanwhile = [&] {
    clock.advance(kGrace);
    auto with = options();
    with.only_finish = true;
    prune_now(with);
  };
  prune(open(slow), options(), clock, random, cancel);
  EXPECT_FALSE(slow.meanwhile);
  EXPECT_EQ(removed_outside, std::set<std::string>{"outside-" + first});
  EXPECT_TRUE(list_words(vault).empty());
  expect_whole();
}

// One has decided and sleeps before it deletes; the other word was written before that…
TEST_P(TwoCopies, OneThatDecidedIsNotReliedOn) {
  name(copies[1], "a", false);
  name(copies[0], "b", true);
  clock.advance(kGrace);
  Sleeper slow(store);
  slow.meanwhile = [&] {
    clock.advance(kGrace);
    prune_now(2);
  };
  prune(open(slow), options(2), clock, random, cancel);
  expect_whole();
  prune_all(2);
  expect_whole();
}

// …or after it: others may finish the sleeper's word, but not decide anew.
TEST_P(TwoCopies, WhatWasDecidedIsNotTakenBack) {
  name(copies[0], "a", true);
  clock.advance(kGrace);
  Sleeper slow(store);
  slow.meanwhile = [&] {
    name(copies[1], "b", true);
    clock.advance(kGrace);
    prune_all(2);
  };
  prune(open(slow), options(2), clock, random, cancel);
  EXPECT_FALSE(slow.meanwhile);
  expect_whole();
  EXPECT_EQ(packs(), 1u);
}

// Backups and pruners of several machines in turns, each dies at any store call. Whatever is
// published stays whole, and after that nothing needs repair.
void crash_again_and_again(PruneTest& test, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random chance(seed);
  for (int life = 0; life < 25; ++life) {
    test.clock.advance(Millis(chance.below(30) * 1'800'000));
    CrashStore dying(
        test.store, 1 + chance.below(14),
        chance.below(2) == 0 ? CrashStore::LastWrite::happens : CrashStore::LastWrite::does_not);
    try {
      auto there = test.open(dying);
      if (chance.below(2) == 0) {
        std::vector<std::string> files;
        for (int i = 0; i < 3; ++i) files.push_back("f" + std::to_string(chance.below(12)));
        test.take(there, files);
      } else {
        auto with = test.options(1 + static_cast<unsigned>(chance.below(3)));
        prune(there, with, test.clock, test.random, test.cancel);
      }
    } catch (const Crashed&) {
    }
    test.expect_whole();
    if (::testing::Test::HasFailure()) return;
  }
  test.take({"last"});
  test.prune_all();
  test.expect_whole();
  EXPECT_EQ(list_points(test.vault).size(), 1u);
  EXPECT_TRUE(list_all_points(test.vault).unfinished.empty());
  EXPECT_EQ(objects_of(test.store, "snapshots/").size(), 1u);
  EXPECT_LE(test.packs(), 3u);
}

struct PruneCrash : PruneTest {};
TEST_P(PruneCrash, ThirtySeeds) {
  for (std::uint64_t seed = 1; seed <= 30 && !HasFailure(); ++seed) {
    for (const auto& object : objects_of(store)) store.remove(object.name);
    vault = make_vault(GetParam(), store, clock, random);
    crash_again_and_again(*this, seed);
  }
}

LIFEBOAT_ON_BOTH_KINDS(PruneTest);
LIFEBOAT_ON_BOTH_KINDS(TwoCopies);
LIFEBOAT_ON_BOTH_KINDS(PruneCrash);

}  // namespace
}  // namespace lifeboat::vault
