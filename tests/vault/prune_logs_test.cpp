// What a pruner takes from the logbook, and what readers see of it then.
#include "prune_fixture.hpp"
#include "vault/logbook_keeper.hpp"
#include "vault/pins.hpp"

namespace lifeboat::vault {
namespace {

const LogName kWal{"postgres/1/00000001"};
const LogName kTopic{"kafka/c/t/events/0"};
const LogName kCompacted{"kafka/c/u/state/0"};

struct PruneLogs : VaultTest {
  std::map<LogName, std::int64_t> ends;
  std::map<std::string, std::vector<LogStart>> needs;  // of points that were published

  // An hour of all logs, in one object.
  void write(const Vault& into) {
    LogbookOptions options;
    options.flush_interval = std::chrono::hours(1);
    LogbookWriter writer(into, options, clock, random);
    for (const auto& log : {kWal, kTopic, kCompacted}) {
      const auto from = ends[log];
      const auto to = from + 100 + static_cast<std::int64_t>(random.below(100));
      writer.append(extent(log.value, from, to), wal(from, to), cancel);
      ends[log] = to;
    }
    writer.close(cancel);
    clock.advance(kHour);
  }
  void write(int hours = 1) {
    for (int i = 0; i < hours; ++i) write(vault);
  }

  RecoveryPoint begin_point(const Vault& into, std::int64_t back = 0) {
    RecoveryPoint point;
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    point.finished = clock.now();
    const auto end = ends[kWal] - back;
    point.stores["postgres"] = {
        {"logs", {{{"log", kWal.value}, {"position", end - 50}, {"until", end}}}}};
    point.stores["kafka"] = {{"start", std::max<std::int64_t>(0, ends[kTopic] - 500 - back)}};
    open_point(into, {point.id, point.created, "", "db1", "/state", 1, {}, ""});
    return point;
  }
  void publish(const Vault& into, const RecoveryPoint& point) {
    publish_point(into, point);
    needs[point.id] = logs_of(point);
  }
  std::string take(const Vault& into) {
    auto point = begin_point(into);
    publish(into, point);
    return point.id;
  }
  std::string take() { return take(vault); }

  PruneOptions options() {
    PruneOptions out;
    out.policy.last = 3;
    out.policy.weekly = 4;
    out.policy.logbook = 10 * kHour;
    out.grace = kGrace;
    out.host = "pruner";
    out.log_starts = [](const auto& points, auto& logs) {
      for (std::size_t i = 0; i < points.size(); ++i) {
        const auto start = points[i]->stores["kafka"]["start"].template get<std::int64_t>();
        logs[i].starts.push_back({kTopic, Position(start), {}});
        logs[i].starts.push_back({kCompacted, Position(0), {}});
      }
    };
    return out;
  }
  PruneReport prune_now() { return prune(vault, options(), clock, random, cancel); }

  static KeeperOptions eager() {
    KeeperOptions options;
    options.merge.after = Millis(0);
    options.merge.to = ByteCount(4000);
    options.merge.least = 4;
    options.remove_after = Millis(0);
    options.summarize_objects = 4;
    options.summary_weight = 60;
    options.max_extent = ByteCount(2000);
    return options;
  }
  Kept keep(const Vault& there) {
    return LogbookKeeper(there, eager(), {}, clock, random).keep({}, cancel);
  }
  Kept keep() {
    clock.advance(Millis(1000));
    return keep(vault);
  }

  std::uint64_t stored() {
    std::uint64_t sum = 0;
    for (const auto& object : objects_of(store, "logbook/")) sum += object.size.value;
    return sum;
  }

  // What points need is there byte for byte, the rest of each log has no hole but what was pruned,
  // and nobody forgets where to go on.
  void expect_whole() {
    auto book = Logbook::load(vault);
    for (const auto& damage : book.damaged()) ADD_FAILURE() << damage.error.what();
    for (const auto& [log, end] : ends) {
      EXPECT_EQ(book.next(log), Position(end)) << log.value;
      const auto coverage = book.coverage(log);
      for (const auto& hole : coverage.holes) EXPECT_TRUE(hole.pruned) << log.value;
      for (const auto& range : coverage.ranges) {
        EXPECT_EQ(book.read_bytes(log, range.from, range.to),
                  wal(range.from.value, range.to.value));
      }
    }
    for (const auto& listed : list_points(vault)) {
      ASSERT_TRUE(listed.point);
      for (const auto& need : needs[listed.id]) {
        EXPECT_EQ(book.read_bytes(need.log, need.position, *need.until),
                  wal(need.position.value, need.until->value));
      }
    }
    EXPECT_EQ(book.read_bytes(kCompacted, Position(0), Position(ends[kCompacted])),
              wal(0, ends[kCompacted]));
    auto report = verify_all();
    for (const auto& damage : report.damages) {
      ADD_FAILURE() << damage.object << ": " << damage.problem;
    }
  }

  // All can be brought back to any moment from this point on.
  void expect_window_from(const std::string& id) {
    auto book = Logbook::load(vault);
    const auto& need = needs.at(id).front();
    EXPECT_EQ(book.read_bytes(kWal, need.position, Position(ends[kWal])),
              wal(need.position.value, ends[kWal]));
  }
};

TEST_P(PruneLogs, AWindowAndWhatOlderPointsNeedStay) {
  std::vector<std::string> points;
  for (int day = 0; day < 9; ++day) {
    write(12);
    points.push_back(take());
    write(12);
  }
  const auto before = stored();
  auto report = prune_now();
  std::map<std::string, LogPruning> goes;
  for (const auto& one : report.logs) goes.emplace(one.verdict.log.value, one);
  ASSERT_EQ(goes.size(), 2u);
  EXPECT_TRUE(goes.contains(kWal.value) && goes.contains(kTopic.value));
  EXPECT_GT(goes.at(kWal.value).bytes.value, 0u);
  EXPECT_NE(goes.at(kWal.value).verdict.why.find(points.at(7)), std::string::npos);
  EXPECT_EQ(report.steps.at(0).word.logs.logs().size(), 2u);
  // Nothing is gone before the grace period has passed.
  EXPECT_EQ(Logbook::load(vault).coverage(kWal).holes.size(), 0u);
  expect_whole();
  clock.advance(kGrace);
  EXPECT_EQ(prune_now().steps.at(0).state, PruneStep::State::finished);
  expect_whole();
  expect_window_from(points.at(7));
  auto book = Logbook::load(vault);
  EXPECT_FALSE(book.coverage(kWal).holes.empty());  // between the weekly point and the window
  EXPECT_EQ(book.gaps(kWal).size(), 0u);
  for (const auto& log : book.logs()) {
    EXPECT_EQ(log.gaps, 0u);
    EXPECT_EQ(log.pruned, log.log != kCompacted);
  }
  auto error = error_of([&] { book.read_bytes(kWal, Position(0), Position(10)); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_NE(error.message().find("was pruned"), std::string::npos) << error.message();
  EXPECT_EQ(stored(), before);
  for (int i = 0; i < 4; ++i) keep();
  expect_whole();
  expect_window_from(points.at(7));
  EXPECT_LT(stored(), before * 2 / 3);
  EXPECT_TRUE(prune_now().logs.empty());
}

// A restore to a later moment reads the logs from its point on: also when its point is dropped and
// the window has moved on since.
TEST_P(PruneLogs, AWindowBeginsNoLaterThanAPointThatIsBeingRestored) {
  std::vector<std::string> points;
  for (int day = 0; day < 4; ++day) {
    write(12);
    points.push_back(take());
    write(12);
  }
  std::vector<Pin> pins;
  for (const bool follows : {true, false}) {
    Pin pin;
    pin.id = make_pin_id(clock, random);
    pin.point = read_point(vault, points[follows ? 1 : 0]);
    pin.follows = follows;
    pin.created = clock.now();
    write_pin(vault, pin);
    pins.push_back(pin);
  }
  store.remove(point_name(points[1]));  // as by a pruner that had not seen the pin yet
  for (int run = 0; run < 3; ++run) {
    prune_now();
    keep();
    clock.advance(kGrace);
  }
  expect_whole();
  expect_window_from(points[1]);
  auto first_of = [&] { return Logbook::load(vault).coverage(kWal).ranges.front().from; };
  EXPECT_EQ(first_of(), needs.at(points[0]).front().position);  // it has that, and no more
  for (const auto& pin : pins) release_pin(vault, pin.id, clock.now());
  for (int run = 0; run < 3; ++run) {
    prune_now();
    clock.advance(kGrace);
  }
  const auto from = needs.at(points[1]).front().position;
  auto error = error_of([&] { Logbook::load(vault).read_bytes(kWal, from, Position(ends[kWal])); });
  EXPECT_EQ(error.code(), Code::not_found);
  expect_whole();
}

TEST_P(PruneLogs, ReadersThatKnewTheLogbookReadOnUntilItIsRemoved) {
  for (int day = 0; day < 3; ++day) {
    write(24);
    take();
  }
  auto book = Logbook::load(vault);
  prune_now();
  clock.advance(kGrace);
  prune_now();
  EXPECT_EQ(book.read_bytes(kWal, Position(0), Position(500)), wal(0, 500));
  for (int i = 0; i < 3; ++i) keep();
  EXPECT_EQ(error_of([&] { book.read_bytes(kWal, Position(0), Position(500)); }).code(),
            Code::not_found);
  EXPECT_EQ(book.next(kWal), Position(ends[kWal]));
}

TEST_P(PruneLogs, WithoutAWindowAllStays) {
  for (int day = 0; day < 3; ++day) {
    write(24);
    take();
  }
  auto with = options();
  with.policy.logbook = Millis(0);
  EXPECT_TRUE(prune(vault, with, clock, random, cancel).logs.empty());
  // Nor does who keeps all finish what another named.
  prune_now();
  clock.advance(kGrace);
  prune(vault, with, clock, random, cancel);
  EXPECT_TRUE(objects_of(store, "pruned/").empty());
  EXPECT_EQ(Logbook::load(vault).read_bytes(kWal, Position(0), Position(500)), wal(0, 500));
}

// A slow backup of another machine, whose point begins before those that were published since.
TEST_P(PruneLogs, APointThatIsPublishedMeanwhileCounts) {
  write(24);
  take();
  write(24);
  auto slow = begin_point(vault, 2000);
  take();
  write(12);
  take();
  prune_now();
  EXPECT_FALSE(condemned_logs(vault).needs(kWal, Position(0), Position(100)));
  publish(vault, slow);
  clock.advance(kGrace);
  prune_now();
  keep();
  expect_whole();
}

TEST_P(PruneLogs, ARecordThatIsDamagedIsNamedAndCostsNothing) {
  for (int day = 0; day < 3; ++day) {
    write(24);
    take();
  }
  prune_now();
  clock.advance(kGrace);
  prune_now();
  keep();
  const auto name = objects_of(store, "pruned/").at(0).name;
  const auto good = store.get(name).value();
  auto bad = good;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  store.put(name, bad);
  auto report = verify_all();
  ASSERT_FALSE(report.good());
  EXPECT_EQ(report.damages.front().kind, "pruned");
  EXPECT_FALSE(Logbook::load(vault).lost());
  store.put(name, good);
  expect_whole();
}

TEST_P(PruneLogs, RecordsBecomeOne) {
  for (int day = 0; day < 6; ++day) {
    write(24);
    take();
    prune_now();
    clock.advance(kGrace);
    keep();
    expect_whole();
  }
  EXPECT_EQ(objects_of(store, "pruned/").size(), 1u);
  EXPECT_LT(stored(), static_cast<std::uint64_t>(ends[kWal]) * 3);
}

// Sleeps before its n-th call of the store.
class SleepsAt : public store::AroundStore {
 public:
  SleepsAt(store::ObjectStore& inner, int call, std::function<void()> meanwhile)
      : AroundStore(inner), left_(call), meanwhile_(std::move(meanwhile)) {}
  bool slept() const { return left_ <= 0; }

 private:
  void around(store::Call&, const Answer&, const std::function<void()>& pass_on) override {
    if (--left_ == 0) meanwhile_();
    pass_on();
  }
  int left_;
  std::function<void()> meanwhile_;
};

struct TwoPruners : PruneLogs {
  std::set<std::string> removed_outside;

  // Only what the window needs, and the newest.
  PruneOptions with() {
    auto out = options();
    out.policy.last = 1;
    out.policy.weekly = 0;
    out.outside = [](const RecoveryPoint& point) { return std::vector{"outside-" + point.id}; };
    out.remove_outside = [this](const std::string& name) { removed_outside.insert(name); };
    return out;
  }
  void run() { prune(vault, with(), clock, random, cancel); }

  std::vector<std::string> begin() {
    for (const auto& object : objects_of(store)) store.remove(object.name);
    vault = make_vault(GetParam(), store, clock, random);
    ends.clear();
    needs.clear();
    removed_outside.clear();
    return take_every_six_hours(3);
  }
  std::vector<std::string> take_every_six_hours(int count) {
    std::vector<std::string> out;
    for (int i = 0; i < count; ++i) {
      write(6);
      out.push_back(take());
    }
    return out;
  }

  // There is a point as old as the window, and all of the logs from there on.
  void expect_window() {
    std::vector<PolicyPoint> points;
    for (const auto& one : list_points(vault)) points.push_back({one.id, one.point->created, ""});
    const auto verdicts = apply_policy(points, with().policy);
    const auto first = std::ranges::find_if(verdicts, &PointVerdict::begins_window);
    ASSERT_NE(first, verdicts.end()) << "of " << points.size() << " points";
    expect_window_from(first->point.id);
  }

  void expect_nothing_forgotten() {
    for (const auto& [id, _] : needs) {
      EXPECT_EQ(removed_outside.contains("outside-" + id), !store.stat(point_name(id))) << id;
    }
  }
};

// Both begin with points at 6, 12 and 18 hours: one knows these only, its window begins with the
// first, and it drops the second. Before any of its calls it sleeps; meanwhile there is a point at
// 24 hours, and for who knows that, the window begins with the second, and he drops the first.
TEST_P(TwoPruners, OneThatKnowsLessTakesNothingThatAnotherReliesOn) {
  for (int others_run : {1, 3}) {
    for (int call = 1;; ++call) {
      SCOPED_TRACE(fmt::format("sleeps at call {}, another runs {} times", call, others_run));
      begin();
      SleepsAt slow(store, call, [&] {
        take_every_six_hours(1);
        for (int i = 0; i < others_run; ++i) {
          run();
          if (others_run > 1) clock.advance(kGrace);
        }
      });
      prune(open(slow), with(), clock, random, cancel);
      if (!slow.slept()) break;
      expect_window();
      for (int i = 0; i < 4; ++i) {
        clock.advance(kGrace);
        run();
      }
      expect_window();
      EXPECT_LE(list_points(vault).size(), 2u);
      EXPECT_TRUE(list_words(vault).empty());
      expect_nothing_forgotten();
      if (HasFailure()) return;
    }
  }
}

// Archivers, backups, pruners and keepers in turns, each dies at any store call.
void crash_again_and_again(PruneLogs& test, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random chance(seed);
  for (int life = 0; life < 30; ++life) {
    test.clock.advance(Millis(chance.below(20) * 3'600'000));
    CrashStore dying(
        test.store, 1 + chance.below(25),
        chance.below(2) == 0 ? CrashStore::LastWrite::happens : CrashStore::LastWrite::does_not);
    try {
      auto there = test.open(dying);
      const auto what = chance.below(4);
      if (what == 0) test.write(6);
      if (what == 1) test.take(there);
      if (what == 2) prune(there, test.options(), test.clock, test.random, test.cancel);
      if (what == 3) test.keep(there);
    } catch (const Crashed&) {
    }
    // A point may have been published though its backup died.
    for (const auto& listed : list_points(test.vault)) {
      test.needs.try_emplace(listed.id, logs_of(*listed.point));
    }
    test.expect_whole();
    if (::testing::Test::HasFailure()) return;
  }
  test.take();
  for (int i = 0; i < 4; ++i) {
    test.prune_now();
    test.clock.advance(kGrace);
    test.keep();
  }
  test.expect_whole();
  EXPECT_TRUE(list_words(test.vault).empty());
}

TEST_P(PruneLogs, ThirtySeedsOfCrashes) {
  for (std::uint64_t seed = 1; seed <= 30 && !HasFailure(); ++seed) {
    for (const auto& object : objects_of(store)) store.remove(object.name);
    vault = make_vault(GetParam(), store, clock, random);
    ends.clear();
    needs.clear();
    write(12);
    crash_again_and_again(*this, seed);
  }
}

LIFEBOAT_ON_BOTH_KINDS(PruneLogs);
LIFEBOAT_ON_BOTH_KINDS(TwoPruners);

}  // namespace
}  // namespace lifeboat::vault
