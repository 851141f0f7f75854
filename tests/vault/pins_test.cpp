// Points that are being restored: what a pruner leaves them, whoever is late, killed or wakes up.
#include "vault/pins.hpp"

#include "prune_fixture.hpp"

namespace lifeboat::vault {
namespace {

constexpr Millis kDay = 24 * kHour;

struct Pins : PruneTest {
  // A restore as recovery/restore_pin begins it: the pin, then the look at the point.
  Pin begin_restore(const Vault& there, const RecoveryPoint& point) {
    Pin pin;
    pin.id = make_pin_id(clock, random);
    pin.point = point;
    pin.follows = true;
    pin.created = clock.now();
    pin.host = "new-db";
    pin.folder = "/state";
    pin.process = 4711;
    pin.plan = "plan";
    write_pin(there, pin);
    if (!there.store().stat(point_name(point.id))) release_pin(there, pin.id, clock.now());
    return pin;
  }
  Pin begin_restore(const std::string& point) {
    return begin_restore(vault, read_point(vault, point));
  }
  Pin now(const Pin& pin) { return read_pin(vault, pin.id).value().pin.value(); }

  // All that the restore needs can be read, whether its point is there or not.
  void expect_readable(const Pin& pin) {
    for (const auto& id : snapshots_of(pin.point)) {
      SnapshotReader reader(vault, id);
      reader.for_each([&](const Entry& entry) {
        std::string bytes;
        reader.read_file(entry, [&](std::string_view part) { bytes += part; });
        EXPECT_EQ(bytes, "content of " + entry.path);
      });
    }
  }

  bool is_there(const std::string& point) { return store.stat(point_name(point)).has_value(); }

  // Prunes once a grace period, for so long.
  void prune_for(Millis time, unsigned last = 1) {
    for (Millis passed{0}; passed < time; passed += kGrace) {
      clock.advance(kGrace);
      prune_now(last);
    }
  }
};

TEST_P(Pins, IsReadAsItWasWritten) {
  const auto pin = begin_restore(take({"a"}, "label"));
  const auto read = now(pin);
  EXPECT_EQ(encode(read), encode(pin));
  EXPECT_EQ(read.point.stores, pin.point.stores);
  EXPECT_EQ(read.alive_at(), clock.now());
  write_pin(vault, pin);  // an answer that got lost
  auto other = pin;
  other.host = "another";
  EXPECT_EQ(error_of([&] { write_pin(vault, other); }).code(), Code::conflict);
  EXPECT_NE(describe(read).find("is being restored by new-db"), std::string::npos);
}

TEST_P(Pins, SwappedPinsAreRefused) {
  const auto one = begin_restore(take({"a"}));
  const auto other = begin_restore(take({"b"}));
  store.put(pin_name(one.id), *store.get(pin_name(other.id)));
  EXPECT_FALSE(read_pin(vault, one.id).value().pin);
  EXPECT_FALSE(prune_now().problems.empty());
}

TEST_P(Pins, ItsStatesOnlyGoForward) {
  const auto pin = begin_restore(take({"a"}));
  clock.advance(kHour);
  EXPECT_TRUE(renew_pin(vault, pin.id, 12, clock.now()));
  EXPECT_EQ(now(pin).alive_at(), clock.now());
  EXPECT_EQ(now(pin).process, 12);
  EXPECT_FALSE(revoke_pin(vault, pin.id, clock.now(), "late", pin.alive_at()));  // it has changed
  EXPECT_TRUE(revoke_pin(vault, pin.id, clock.now(), "dead", clock.now()));
  EXPECT_FALSE(revoke_pin(vault, pin.id, clock.now(), "again"));
  EXPECT_FALSE(renew_pin(vault, pin.id, 12, clock.now()));
  EXPECT_EQ(now(pin).why, "dead");
  release_pin(vault, pin.id, clock.now());
  EXPECT_FALSE(read_pin(vault, pin.id));
  EXPECT_FALSE(renew_pin(vault, pin.id, 12, clock.now()));
  EXPECT_FALSE(revoke_pin(vault, pin.id, clock.now(), "gone"));
}

TEST_P(Pins, APointThatIsBeingRestoredStays) {
  const auto first = take({"a", "b"});
  const auto pin = begin_restore(first);
  take({"c"});
  clock.advance(kGrace * 2);
  renew_pin(vault, pin.id, 1, clock.now());
  auto with = options();
  with.drop = {first};
  with.dry_run = true;
  auto report = prune_now(with);
  ASSERT_EQ(report.points.size(), 2u);
  EXPECT_TRUE(report.points[0].keep);
  EXPECT_EQ(report.points[0].reasons, std::vector<std::string>{describe(now(pin))});
  EXPECT_EQ(report.pins.size(), 1u);
  with.dry_run = false;
  report = prune_now(with);
  EXPECT_TRUE(report.dropped.empty());
  prune_for(3 * kDay);
  EXPECT_TRUE(is_there(first));
  expect_whole();
  release_pin(vault, pin.id, clock.now());
  EXPECT_EQ(prune_now().dropped, std::vector<std::string>{first});
  prune_all();
  EXPECT_TRUE(objects_of(store, "pins/").empty());
  EXPECT_EQ(objects_of(store, "snapshots/").size(), 1u);
  EXPECT_EQ(removed_outside, std::set<std::string>{"outside-" + first});
}

// Killed at night, gone on with days later: then it gives signs of life again.
TEST_P(Pins, AKilledRestoreFindsItsPoint) {
  const auto first = take({"a"});
  take({"b"});
  const auto pin = begin_restore(first);
  prune_for(6 * kDay);
  EXPECT_TRUE(is_there(first));
  EXPECT_TRUE(renew_pin(vault, pin.id, 2, clock.now()));
  prune_for(6 * kDay);
  EXPECT_TRUE(is_there(first));
  expect_whole();
}

TEST_P(Pins, AForgottenOneIsRevokedAndItsRestoreLearnsIt) {
  const auto first = take({"a"});
  take({"b"});
  const auto pin = begin_restore(first);
  clock.advance(7 * kDay + kHour);
  auto with = options();
  with.dry_run = true;
  EXPECT_FALSE(prune_now(with).points.at(0).keep);
  const auto report = prune_now();
  ASSERT_EQ(report.unpinned.size(), 1u);
  EXPECT_EQ(report.dropped, std::vector<std::string>{first});
  EXPECT_FALSE(renew_pin(vault, pin.id, 1, clock.now()));
  EXPECT_NE(now(pin).why.find("prune on pruner took it for dead"), std::string::npos);
  expect_readable(pin);  // for the grace period
  prune_all();
  EXPECT_FALSE(read_pin(vault, pin.id));
}

TEST_P(Pins, TheGracePeriodCountsWhenItIsLonger) {
  const auto first = take({"a"});
  take({"b"});
  begin_restore(first);
  auto with = options();
  with.grace = 30 * kDay;
  clock.advance(20 * kDay);
  EXPECT_TRUE(prune_now(with).dropped.empty());
  clock.advance(11 * kDay);
  EXPECT_EQ(prune_now(with).dropped, std::vector<std::string>{first});
}

TEST_P(Pins, GivenUpByName) {
  const auto first = take({"a"});
  take({"b"});
  const auto pin = begin_restore(first);
  auto with = options();
  with.unpin = {first};
  with.drop = {first};
  with.dry_run = true;
  EXPECT_FALSE(prune_now(with).points.at(0).keep);
  EXPECT_FALSE(now(pin).revoked);
  with.dry_run = false;
  EXPECT_EQ(prune_now(with).dropped, std::vector<std::string>{first});
  EXPECT_NE(now(pin).why.find("--unpin"), std::string::npos);
}

TEST_P(Pins, OneThatCannotBeReadBlocksUntilItIsGivenUp) {
  const auto first = take({"a"});
  take({"b"});
  const auto pin = begin_restore(first);
  clock.advance(kGrace * 2);
  store.put(pin_name(pin.id), "torn");
  const auto had = packs();
  for (int i = 0; i < 3; ++i) {
    auto report = prune_now();
    ASSERT_EQ(report.problems.size(), 1u);
    EXPECT_NE(report.problems[0].find("--unpin " + pin.id), std::string::npos);
    clock.advance(kGrace);
  }
  EXPECT_TRUE(is_there(first));
  EXPECT_EQ(packs(), had);
  auto with = options();
  with.unpin = {pin.id};
  EXPECT_EQ(prune_now(with).dropped, std::vector<std::string>{first});
  prune_all();
  EXPECT_LT(packs(), had);
}

// The pruner has looked at the pins, and sleeps before it removes the point; the restore pins it,
// sees it, and goes on: what it needs stays, the point does not.
TEST_P(Pins, ARestoreThatBeginsJustBeforeItsPointIsRemoved) {
  const auto first = take({"a", "b"});
  take({"c"});
  clock.advance(kGrace * 2);
  Pin pin;
  Sleeper slow(store, store::Op::remove, point_name(first));
  slow.meanwhile = [&] { pin = begin_restore(first); };
  EXPECT_EQ(prune(open(slow), options(), clock, random, cancel).dropped,
            std::vector<std::string>{first});
  ASSERT_FALSE(slow.meanwhile);
  ASSERT_TRUE(read_pin(vault, pin.id));
  EXPECT_FALSE(is_there(first));
  prune_for(6 * kDay);
  expect_readable(pin);
  EXPECT_TRUE(removed_outside.empty());
  EXPECT_TRUE(verify_all().good());
  release_pin(vault, pin.id, clock.now());
  prune_all();
  EXPECT_EQ(removed_outside, std::set<std::string>{"outside-" + first});
  EXPECT_EQ(objects_of(store, "snapshots/").size(), 1u);
}

// It pins a point that is gone already, or it pins one while a word is being decided.
TEST_P(Pins, ARestoreThatBeginsWhileTheWordIsDecided) {
  const auto first = take({"a", "b"});
  const auto point = read_point(vault, first);
  take({"c"});
  clock.advance(kGrace * 2);
  prune_now();
  clock.advance(kGrace);
  Sleeper slow(store, store::Op::list, "pins/");
  slow.meanwhile = [&] { EXPECT_FALSE(read_pin(vault, begin_restore(vault, point).id)); };
  prune(open(slow), options(), clock, random, cancel);
  EXPECT_FALSE(slow.meanwhile);
  prune_all();
  expect_whole();
  EXPECT_EQ(objects_of(store, "snapshots/").size(), 1u);
}

// The pruner that wakes up late found the pin aged; its restore has gone on since.
TEST_P(Pins, OneThatWasRenewedMeanwhileIsNotRevoked) {
  const auto first = take({"a"});
  take({"b"});
  const auto pin = begin_restore(first);
  clock.advance(8 * kDay);
  Sleeper slow(store, store::Op::stat, pin_name(pin.id));
  slow.meanwhile = [&] { EXPECT_TRUE(renew_pin(vault, pin.id, 1, clock.now())); };
  auto report = prune(open(slow), options(), clock, random, cancel);
  EXPECT_FALSE(slow.meanwhile);
  EXPECT_TRUE(report.unpinned.empty());
  EXPECT_TRUE(report.dropped.empty());
}

TEST_P(Pins, InAStoreOfOneWriter) {
  const auto first = take({"a"});
  take({"b"});
  store::record(store, {false, false, "was seen to have none"});
  const auto pin = begin_restore(first);
  EXPECT_TRUE(renew_pin(vault, pin.id, 1, clock.now()));
  auto with = options();
  with.nobody_else_writes = true;
  clock.advance(kGrace);
  EXPECT_TRUE(prune_now(with).dropped.empty());
  clock.advance(8 * kDay);
  EXPECT_EQ(prune_now(with).dropped, std::vector<std::string>{first});
}

// Who may write and not delete leaves it revoked: a pruner removes it.
TEST_P(Pins, WhoMayNotDelete) {
  class NoDelete : public store::ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    bool remove(const std::string& name) override {
      throw Error(Code::denied, name, "these credentials may not delete");
    }
  } writer(store);
  const auto first = take({"a"});
  take({"b"});
  const auto pin = begin_restore(first);
  release_pin(open(writer), pin.id, clock.now());
  EXPECT_EQ(now(pin).why, "it has ended");
  EXPECT_EQ(prune_now().dropped, std::vector<std::string>{first});
  clock.advance(kGrace + kHour);
  prune_now();
  EXPECT_FALSE(read_pin(vault, pin.id));
}

// Restores, backups and pruners in turns, each dies at any store call: what a restore has pinned
// and then seen can be read as long as its pin counts.
void crash_again_and_again(Pins& test, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random chance(seed);
  std::vector<Pin> begun;
  for (int life = 0; life < 30; ++life) {
    test.clock.advance(Millis(chance.below(30) * 1'800'000));
    CrashStore dying(
        test.store, 1 + chance.below(20),
        chance.below(2) == 0 ? CrashStore::LastWrite::happens : CrashStore::LastWrite::does_not);
    try {
      auto there = test.open(dying);
      const auto who = chance.below(4);
      if (who == 0) {
        test.take(there, {"f" + std::to_string(chance.below(9)), "g" + std::to_string(life)});
      } else if (who == 1) {
        const auto points = list_points(there);
        if (points.empty()) continue;
        auto pin = test.begin_restore(there, *points[chance.below(points.size())].point);
        begun.push_back(pin);
      } else if (who == 2 && !begun.empty()) {
        const auto& pin = begun[chance.below(begun.size())];
        if (chance.below(2) == 0)
          release_pin(there, pin.id, test.clock.now());
        else
          renew_pin(there, pin.id, 1, test.clock.now());
      } else {
        auto with = test.options(1 + static_cast<unsigned>(chance.below(2)));
        with.pin_life = 3 * kDay;
        prune(there, with, test.clock, test.random, test.cancel);
      }
    } catch (const Crashed&) {
    }
    for (const auto& pin : begun) {
      const auto kept = read_pin(test.vault, pin.id);
      if (kept && !kept->pin->revoked) test.expect_readable(pin);
    }
    test.expect_whole();
    if (::testing::Test::HasFailure()) return;
  }
  test.take({"last"});
  test.clock.advance(8 * kDay);
  test.prune_all();
  test.expect_whole();
  EXPECT_TRUE(objects_of(test.store, "pins/").empty());
  EXPECT_EQ(objects_of(test.store, "snapshots/").size(), 1u);
}

struct PinsCrash : Pins {};
TEST_P(PinsCrash, TwelveSeeds) {
  for (std::uint64_t seed = 1; seed <= 12 && !HasFailure(); ++seed) {
    for (const auto& object : objects_of(store)) store.remove(object.name);
    vault = make_vault(GetParam(), store, clock, random);
    crash_again_and_again(*this, seed);
  }
}

LIFEBOAT_ON_BOTH_KINDS(Pins);
LIFEBOAT_ON_BOTH_KINDS(PinsCrash);

}  // namespace
}  // namespace lifeboat::vault
