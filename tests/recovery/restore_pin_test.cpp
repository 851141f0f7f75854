// What a restore says, and does, when the vault takes its pin no more, or not yet.
#include "recovery/restore_pin.hpp"

#include <atomic>

#include "restore_fixture.hpp"
#include "store/around_store.hpp"

namespace lifeboat::recovery {
namespace {

// Credentials that may write or not, as they are given and taken away.
class Rights : public store::AroundStore {
 public:
  using AroundStore::AroundStore;
  std::atomic<bool> may_write{true};

  // Until so many writes more were refused.
  void wait_for_refused(int more) const {
    const auto until = Deadline::after(Millis(240'000));
    const auto seen = refused_.load();
    while (refused_ < seen + more && !until.passed()) Cancel().sleep_for(Millis(2));
    EXPECT_GE(refused_, seen + more) << "nobody tries any more";
  }

 private:
  void around(store::Call& call, const Answer&, const std::function<void()>& pass_on) override {
    if (call.writes() && !may_write) {
      ++refused_;
      throw Error(Code::denied, call.name, "these credentials may not write");
    }
    pass_on();
  }
  std::atomic<int> refused_{0};
};

struct RestorePins : RestoreTest {
  Rights rights{store};
  std::string point = take({"a"});
  Plan plan;
  RestorePins() {
    plan.id = "20261128T170500000Z-0001";
    plan.point = point;
    plan.stores = {Store::postgres};
  }

  vault::Pin pin_now() {
    const auto pins = vault::list_pins(vault);
    EXPECT_EQ(pins.size(), 1u);
    return pins.at(0).pin.value();
  }
  std::size_t warnings() const {
    const auto all = notes.all();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& note) {
      return note.find("WARNING") != std::string::npos;
    }));
  }
};

TEST_P(RestorePins, RightsThatAreTakenAwayAreMissedOnceAndTriedAgain) {
  Journal journal(config, plan.id);
  RestorePin pin(context, open(rights), plan, journal);
  rights.may_write = false;
  const auto said = notes.wait_for("cannot tell the vault");
  EXPECT_NE(said.find("after " + to_string(clock.now() + 7 * 24 * vault::kHour.count())),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("may drop point " + point), std::string::npos) << said;
  EXPECT_NE(said.find("right to write below pins/"), std::string::npos) << said;
  EXPECT_NE(said.find("let no prune run"), std::string::npos) << said;
  rights.wait_for_refused(3);
  EXPECT_EQ(warnings(), 1u);
  clock.advance(vault::kHour);
  rights.may_write = true;
  notes.wait_for("prune knows again that point " + point);
  EXPECT_EQ(pin_now().alive_at(), clock.now());
  pin.release();
  EXPECT_TRUE(vault::list_pins(vault).empty());
  EXPECT_EQ(warnings(), 1u);
}

TEST_P(RestorePins, WhoMayNotWriteLearnsThatHisPinWasRevoked) {
  Journal journal(config, plan.id);
  RestorePin pin(context, open(rights), plan, journal);
  rights.may_write = false;
  notes.wait_for("cannot tell the vault");
  EXPECT_TRUE(vault::revoke_pin(vault, pin_now().id, clock.now(), "it was given up"));
  EXPECT_NE(notes.wait_for("is not kept for this restore any more").find("it was given up"),
            std::string::npos);
}

TEST_P(RestorePins, OneThatIsGoneOnWithWithoutRightsSaysSo) {
  Journal journal(config, plan.id);
  {
    RestorePin first(context, open(rights), plan, journal);
  }
  EXPECT_NE(notes.wait_for("is not finished")
                .find(to_string(pin_now().alive_at() + 7 * 24 * vault::kHour.count())),
            std::string::npos);
  rights.may_write = false;
  RestorePin again(context, open(rights), plan, journal);
  notes.wait_for("cannot tell the vault");
  EXPECT_EQ(warnings(), 1u);
  rights.may_write = true;
  notes.wait_for("prune knows again");
}

TEST_P(RestorePins, RightsThatComeLaterPinThePointThen) {
  rights.may_write = false;
  Journal journal(config, plan.id);
  RestorePin pin(context, open(rights), plan, journal);
  const auto said = notes.wait_for("could not be pinned");
  EXPECT_NE(said.find("needs to write below pins/"), std::string::npos) << said;
  rights.wait_for_refused(3);
  EXPECT_TRUE(vault::list_pins(vault).empty());
  rights.may_write = true;
  notes.wait_for("is pinned now");
  EXPECT_EQ(pin_now().point.id, point);
  EXPECT_EQ(warnings(), 1u);
  pin.release();
  EXPECT_TRUE(vault::list_pins(vault).empty());
}

// The pin was written when the point was gone already, and its restore was killed before it looked.
TEST_P(RestorePins, OneThatWasKilledBeforeItLookedLooksWhenItIsGoneOnWith) {
  take({"b"});
  struct Killed {};
  class Killer : public store::AroundStore {
   public:
    using AroundStore::AroundStore;

   private:
    void around(store::Call& call, const Answer&, const std::function<void()>& pass_on) override {
      pass_on();
      if (call.op == store::Op::put_if_absent) throw Killed{};
    }
  } dies(store);
  Journal journal(config, plan.id);
  vault::Sleeper slow(dies, store::Op::put_if_absent, "pins/");
  slow.meanwhile = [&] { EXPECT_EQ(prune_now().dropped, std::vector<std::string>{point}); };
  EXPECT_THROW(RestorePin(context, open(slow), plan, journal), Killed);
  EXPECT_EQ(pin_now().point.id, point);
  const auto error = vault::error_of([&] { RestorePin(context, vault, plan, journal); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_TRUE(vault::list_pins(vault).empty());
}

LIFEBOAT_ON_BOTH_KINDS(RestorePins);

}  // namespace
}  // namespace lifeboat::recovery
