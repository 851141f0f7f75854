#include "simulation/simulation.hpp"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/error.hpp"
#include "simulation/logbook.hpp"
#include "simulation/restores.hpp"
#include "store/fault_store.hpp"
#include "store/retry_store.hpp"
#include "vault/locks.hpp"
#include "vault/prune.hpp"
#include "vault/vault_fixture.hpp"

namespace lifeboat::vault::simulation {
namespace {

// A machine and its clock.
struct Host {
  Host(std::string its_name, const Scheduler& scheduler)
      : name(std::move(its_name)), clock(scheduler) {}
  std::string name;
  HostClock clock;
  KnownLocks locks;        // in its state folder
  RestoreJournal restore;  // likewise
};

Habits habits_of(Random& chance, Mischief mischief, Focus focus) {
  Habits out(chance, focus);
  if (is_about_pins(mischief)) out.be_about_pins();
  return out;
}

class Simulation {
 public:
  Simulation(std::uint64_t seed, Mischief mischief, std::size_t trace_length, Focus focus)
      : chance_(seed), habits_(habits_of(chance_, mischief, focus)), trace_(trace_length) {
    ground_.mischief = mischief;
    proofs_.replaces_unread = mischief == Mischief::replaces_unread;
    restores_.pins_late = mischief == Mischief::pins_late;
    restores_.goes_unseen = mischief == Mischief::goes_on_unseen;
    ground_.etags = chance_.below(2) == 0;
    ground_.stall_in = 20 + static_cast<unsigned>(chance_.below(200));
    ground_.longest_stall = kGrace + up_to(2 * kGrace);
    ground_.latest = kGrace / 2;
    ground_.latency = Millis(200) + up_to(Millis(20'000));
    ground_.retain = habits_.retain;
    ground_.pin_life = habits_.pin_life;
    // Between the look at locks and the publication there is an eighth of their time.
    if (habits_.retain > Millis(0)) ground_.longest_stall = habits_.retain / 96;
  }

  Outcome run() {
    try {
      HostClock clock(scheduler_);
      model_.begin(
          make_vault(habits_.encrypted ? Kind::encrypted : Kind::plain, objects_, clock, chance_));
      spawn_all();
      scheduler_.run();
      scheduler_.spawn([this] { afterwards(); });
      scheduler_.run();
    } catch (const Violation& violation) {
      if (!violated_) violated_ = violation.what;
    } catch (const Error& error) {
      if (!violated_) violated_ = std::string("after all, ") + error.what();
    }
    if (violated_) {
      out_.violated = violated_;
      out_.trace = trace_.text();
    }
    out_.calls = ground_.calls;
    out_.deaths = ground_.deaths;
    out_.published = model_.published();
    out_.archived = model_.logbook().promised().size();
    out_.deleted = model_.deleted();
    out_.pruned = model_.logbook().narrowed();
    out_.proofs = model_.proofs().kept();
    out_.pinned = model_.pins().seen();
    out_.unpinned = model_.pins().revoked();
    return std::move(out_);
  }

 private:
  // --- hosts and their lives

  using Verb = void (Simulation::*)(Host&, const Vault&);

  void spawn_all() {
    for (unsigned i = 0; i < habits_.writers; ++i) spawn("writer", i, &Simulation::back_up);
    for (unsigned i = 0; i < habits_.pruners; ++i) spawn("pruner", i, &Simulation::prune_once);
    for (unsigned i = 0; i < habits_.readers; ++i) spawn("reader", i, &Simulation::restore);
    for (unsigned i = 0; i < habits_.restorers; ++i)
      spawn("restorer", i, &Simulation::restore_pinned);
    for (unsigned i = 0; i < habits_.archivers; ++i) spawn("archiver", i, &Simulation::archive);
    for (unsigned i = 0; i < habits_.keepers; ++i) spawn("keeper", i, &Simulation::keep_logbook);
    for (unsigned i = 0; i < habits_.verifiers; ++i) spawn("verifier", i, &Simulation::verify_all);
  }

  void spawn(const std::string& kind, unsigned number, Verb verb) {
    hosts_.push_back(std::make_unique<Host>(kind + "-" + std::to_string(number), scheduler_));
    auto& host = *hosts_.back();
    set_off(host);
    scheduler_.spawn([this, &host, verb] {
      for (unsigned life = 0; life < habits_.lives; ++life) {
        scheduler_.sleep(up_to(habits_.between));
        if (habits_.clocks == Habits::Clocks::stepping && chance_.below(3) == 0) set_off(host);
        live(host, verb);
      }
    });
  }

  void set_off(Host& host) {
    auto most = habits_.farthest_off();
    host.clock.set_off(up_to(2 * most) - most);
  }

  Millis up_to(Millis most) {
    return Millis(
        static_cast<std::int64_t>(chance_.below(static_cast<std::uint64_t>(most.count()) + 1)));
  }

  // Of many lives none.
  Death death() {
    if (chance_.below(habits_.dies_in) != 0) return {};
    const bool takes_effect = chance_.below(2) == 0;
    switch (chance_.below(4)) {
      case 0:
        return {1 + chance_.below(6), store::Op::remove, takes_effect};
      case 1:
        return {1 + chance_.below(400), std::nullopt, takes_effect};
      default:
        return {1 + chance_.below(40), std::nullopt, takes_effect};
    }
  }

  // One run of a program, which may be killed at any call.
  void live(Host& host, Verb verb) {
    LifeStore own(ground_, host.name, host.clock, death());
    store::Pause pause{host.clock, [this](Millis time) { scheduler_.sleep(time); }};
    auto today = weather_of_today();
    LateStore late(own, ground_, host.name, host.clock, today.faults.empty() ? 0 : 100);
    store::FaultStore weather(late, chance_.next(), today, pause);
    store::RetryStore retry(weather, {}, pause, Random(chance_.next()));
    store::ObjectStore& seen = habits_.retries ? static_cast<store::ObjectStore&>(retry) : weather;
    Witness witness(seen, ground_, host.name);
    try {
      (this->*verb)(host, open(witness));
    } catch (const Killed&) {
    } catch (const Error& error) {
      trace_.add(scheduler_.now(), host.name, "ends", error.subject(), error.what());
      ++out_.failed;
      if (today.faults.empty() && error.code() != Code::conflict) {
        violate(host.name + " met no fault and failed: " + error.what());
      }
    } catch (const Violation& violation) {
      violate(violation.what);
    }
  }

  Vault open(store::ObjectStore& store) const {
    return open_vault(habits_.encrypted ? Kind::encrypted : Kind::plain, store);
  }

  store::FaultStore::Weather weather_of_today() {
    store::FaultStore::Weather weather;
    using store::Fault;
    weather.one_in = 5 + static_cast<int>(chance_.below(60));
    auto how = chance_.below(static_cast<std::uint64_t>(habits_.weather) + 1);
    if (how >= 1) {
      weather.faults = {Fault::timeout,        Fault::timeout_after, Fault::conflict,
                        Fault::internal_error, Fault::busy,          Fault::internal_error_after,
                        Fault::partial_read,   Fault::slow};
    }
    if (how >= 2) {
      weather.faults.push_back(Fault::own_write);
      weather.faults.push_back(Fault::truncated_body);
      weather.faults.push_back(Fault::missing_in_listing);
    }
    return weather;
  }

  // The first one counts; everything stops.
  void violate(const std::string& what) {
    if (!violated_) violated_ = what;
    scheduler_.stop();
    throw Stopped{};
  }

  // --- what they do

  // As recovery/backup takes a point.
  void back_up(Host& host, const Vault& vault) {
    withdraw_own(host, vault);
    RecoveryPoint point;
    point.id = make_point_id(host.clock, chance_);
    point.created = host.clock.now();
    if (chance_.below(8) == 0) point.label = "pinned";
    std::unique_ptr<Chunks> chunks;
    if (ground_.mischief == Mischief::opens_late) {
      chunks = chunks_for(host, vault);
      scheduler_.sleep(up_to(kGrace));
    }
    open_point(vault, {point.id, point.created, point.label, host.name, "/state", 1, {}, ""});
    const Heart heart(*this, host, [&host, id = point.id](const Vault& there) {
      return renew_point(there, id, host.clock.now());
    });
    try {
      if (!chunks) chunks = chunks_for(host, vault);
      const bool forgets = ground_.mischief == Mischief::names_pruned_logs;
      const auto condemned = forgets ? PrunedLogs() : condemned_logs(vault);
      save(*chunks, point);
      expect_logs(vault, condemned, point);
      if (habits_.window > Millis(0) && chance_.below(4) == 0) scheduler_.sleep(up_to(kGrace));
      lock(host, *chunks, point);
      point.finished = host.clock.now();
      publish_point(vault, point);
    } catch (const Error&) {
      withdraw_quietly(host, vault, point.id);
      throw;
    }
  }

  using Beat = std::function<bool(const Vault&)>;

  // Signs of life, as long as a program lives: they come from a thread of their own.
  class Heart {
   public:
    Heart(Simulation& all, Host& host, Beat beat) {
      if (!all.habits_.beats) return;
      all.scheduler_.spawn(
          [&all, &host, give = std::move(beat), over = over_] { all.beat(host, give, over); });
    }
    ~Heart() { *over_ = true; }
    Heart(const Heart&) = delete;
    Heart& operator=(const Heart&) = delete;

   private:
    std::shared_ptr<bool> over_ = std::make_shared<bool>(false);
  };

  // Until the thing counts no more.
  void beat(Host& host, const Beat& give, const std::shared_ptr<bool>& over) {
    LifeStore own(ground_, host.name, host.clock);
    while (!*over) {
      scheduler_.sleep(kGrace / 4);
      if (*over || chance_.below(4) == 0) continue;  // the store was away
      try {
        if (!give(open(own))) return;
      } catch (const Violation& violation) {
        violate(violation.what);
      }
    }
  }

  // What the point names of the logbook stays.
  static void expect_logs(const Vault& vault, const PrunedLogs& condemned,
                          const RecoveryPoint& point) {
    const auto logs = logs_of(point);
    if (logs.empty()) return;
    const auto book = Logbook::load(vault);
    for (const auto& need : logs) {
      if (!need.until) continue;
      if (auto why = why_lacking(book, condemned, need))
        throw Error(Code::conflict, need.log.value, "the logbook lacks WAL: " + *why);
    }
  }

  void lock(Host& host, const Chunks& chunks, const RecoveryPoint& point) {
    if (habits_.retain == Millis(0)) return;
    if (chance_.below(4) == 0) host.locks.clear();
    if (ground_.mischief != Mischief::publishes_unlocked) {
      lock_needed(chunks.vault(), chunks, point, habits_.retain, host.locks, host.clock, cancel_);
      return;
    }
    auto names = needed_by(chunks.vault(), chunks, point);
    std::erase_if(names, [](const auto& name) { return name.starts_with("packs/"); });
    lock_content(chunks.vault(), {names.begin(), names.end()}, habits_.retain, host.locks,
                 host.clock, cancel_);
  }

  std::unique_ptr<Chunks> chunks_for(Host& host, const Vault& vault) {
    ChunkOptions options;
    options.threads = 0;
    options.pack_size = ByteCount(300);
    options.absent = condemned_packs(vault);
    if (habits_.keeps_proofs) {
      for (auto& pack : damaged_packs(vault)) options.absent.insert(std::move(pack));
    }
    options.clock = &host.clock;
    options.seed = chance_.next();
    auto chunks = std::make_unique<Chunks>(vault, std::move(options));
    chunks->has(Digest());  // lists the packs
    return chunks;
  }

  void save(Chunks& chunks, RecoveryPoint& point) {
    auto trees = 1 + chance_.below(2);
    for (std::uint64_t tree = 0; tree < trees; ++tree) {
      // Some take longer than the grace period.
      if (habits_.beats && chance_.below(6) == 0) scheduler_.sleep(up_to(6 * kGrace));
      auto files = some_files();
      SnapshotWriter writer(chunks, "test");
      for (const auto& [path, bytes] : files) writer.add_file(path, 0600, Timestamp(0), bytes);
      auto id = writer.finish({{"point", point.id}, {"tree", tree}});
      model_.expect(snapshot_name(chunks.vault(), id), std::move(files));
      point.stores["tree" + std::to_string(tree)] = {{"snapshot", id.hex()}};
    }
    const bool forgets = ground_.mischief == Mischief::names_pruned_logs;
    const bool any = habits_.window == Millis(0) || (!quiet_ && (forgets || chance_.below(4) == 0));
    point.stores["log"] = {{"logs", logbook_.starts(any)}};
    chunks.flush();
    point.stores["outside"] = {{"backup", "outside-" + point.id}};
    model_.outside_made("outside-" + point.id, point.id);
  }

  // Of few contents, so that what was dropped is soon needed again.
  Files some_files() {
    Files files;
    auto count = 1 + chance_.below(3);
    for (std::uint64_t i = 0; i < count; ++i) {
      auto which = chance_.below(12);
      files["file" + std::to_string(which)] = noise(40 + 30 * which, which);
    }
    return files;
  }

  void withdraw_own(Host& host, const Vault& vault) {
    for (const auto& one : list_all_points(vault).unfinished) {
      if (one.host == host.name) withdraw_point(vault, one.id, host.clock.now());
    }
  }

  void withdraw_quietly(Host& host, const Vault& vault, const std::string& id) {
    try {
      withdraw_point(vault, id, host.clock.now());
    } catch (const Error&) {  // the next backup does it
    }
  }

  PruneOptions prune_options(const Host& host) {
    PruneOptions options;
    options.policy = policy_;
    options.grace = ground_.mischief == Mischief::removes_early ? kMinute : kGrace;
    options.pin_life = habits_.pin_life;
    options.host = host.name;
    options.outside = [](const RecoveryPoint& point) {
      return std::vector{point.stores.at("outside").at("backup").get<std::string>()};
    };
    options.remove_outside = [this](const std::string& name) { model_.outside_removed(name); };
    return options;
  }

  void prune_once(Host& host, const Vault& vault) {
    auto options = prune_options(host);
    options.only_finish = chance_.below(8) == 0;
    options.dry_run = chance_.below(16) == 0;
    if (!model_.pins().all().empty() && chance_.below(16) == 0)
      options.unpin = {model_.pins().all().rbegin()->second.point};
    model_.prune_begins(host.name, scheduler_.now());
    prune(vault, options, host.clock, chance_, cancel_);
    if (habits_.keeps_proofs && !options.dry_run) remove_replaced_proofs(vault);
  }

  void archive(Host& host, const Vault& vault) { logbook_.archive(vault, host.clock); }
  void keep_logbook(Host& host, const Vault& vault) { kept_ = logbook_.keep(vault, host.clock); }

  // Of any point, the oldest and soon dropped too.
  void restore(Host& host, const Vault& vault) {
    if (habits_.archivers > 0) logbook_.read(vault, 3);
    auto points = list_points(vault);
    if (points.empty()) return;
    const auto& chosen = points[chance_.below(points.size())];
    try {
      auto point = read_point(vault, chosen.id);
      logbook_.read(vault, logs_of(point));
      for (const auto& id : snapshots_of(point))
        compare(model_, vault, point.id, snapshot_name(vault, id));
    } catch (const Error& error) {
      if (error.code() != Code::not_found || model_.is_live(chosen.id)) throw;
      trace_.add(scheduler_.now(), host.name, "gives up", chosen.id, "dropped meanwhile");
    }
  }

  // It gives signs of life, and goes on where an earlier one ended.
  void restore_pinned(Host& host, const Vault& vault) {
    auto& journal = host.restore;
    if (!restores_.begin(vault, host.clock, host.name, journal)) return;
    const Heart heart(*this, host, [this, &host, pin = journal.pin](const Vault& there) {
      return restores_.beat(there, host.clock, pin);
    });
    restores_.read(vault, host.clock, journal,
                   [&](const auto& point) { logbook_.read(vault, logs_of(point)); });
  }

  void verify_all(Host& host, const Vault& vault) {
    auto report = habits_.keeps_proofs
                      ? proofs_.verify(vault, host.name, host.clock, host.clock, cancel_)
                      : verify_plainly(vault);
    for (const auto& damage : report.damages) {
      throw Error(Code::corrupt, damage.object, "verify says: " + damage.problem);
    }
    if (!report.unread.empty()) throw Error(Code::unavailable, "vault", report.unread.front());
  }

  VerifyReport verify_plainly(const Vault& vault) {
    VerifyOptions options;
    options.depth = chance_.below(2) == 0 ? Depth::data : Depth::existence;
    return verify(vault, options, cancel_);
  }

  // --- the end

  // Nobody else is there, nothing fails; what was left is old.
  void afterwards() {
    quiet_ = true;
    ground_.stall_in = 0;
    habits_.weather = 0;
    habits_.dies_in = 1'000'000'000;
    for (const auto& host : hosts_) host->clock.set_off(Millis(0));
    scheduler_.sleep(3 * kDay + kGrace + 2 * habits_.retain);
    Host host("afterwards", scheduler_);
    auto last = [&](Verb verb) {
      LifeStore store(ground_, host.name, host.clock);
      try {
        (this->*verb)(host, open(store));
      } catch (const Error& error) {
        throw Violation{std::string("a run after all that failed: ") + error.what()};
      }
    };
    last(&Simulation::back_up);
    last(&Simulation::verify_all);
    scheduler_.sleep(2 * habits_.retain);
    for (int runs = 0; under_way_ > 0; ++runs) {
      if (runs == 8) throw Violation{"prune comes to no end"};
      last(&Simulation::prune_all);
      scheduler_.sleep(kGrace + kMinute);
    }
    if (habits_.archivers > 0) keep_logbook_for_long(last);
    last(&Simulation::verify_all);
    last(&Simulation::restore);
    model_.expect_no_garbage();
  }

  template <typename Last>
  void keep_logbook_for_long(Last&& last) {
    last(&Simulation::archive);
    for (int runs = 0, idle = 0; idle < 2; ++runs) {
      if (runs == 12) throw Violation{"the logbook's keeper comes to no end"};
      last(&Simulation::keep_logbook);
      idle = kept_ ? 0 : idle + 1;
      scheduler_.sleep(kGrace);
    }
    auto vault = open(objects_);
    logbook_.read(vault, model_.logbook().promised().size());
    logbook_.expect_no_garbage(vault);
  }

  void prune_all(Host& host, const Vault& vault) {
    auto report = prune(vault, prune_options(host), host.clock, chance_, cancel_);
    for (const auto& problem : report.problems) throw Violation{"prune needs help: " + problem};
    under_way_ = report.steps.size() + report.unfinished.size() + list_pins(vault).size();
    if (habits_.keeps_proofs) remove_replaced_proofs(vault);
  }

  Random chance_;
  Habits habits_;
  Scheduler scheduler_{chance_, habits_.stay};
  Objects objects_;
  RetentionPolicy policy_ = habits_.policy();
  Trace trace_;
  Model model_{objects_, policy_, kGrace, habits_.farthest_off(), habits_.pin_life};
  Ground ground_{chance_, scheduler_, objects_, model_, trace_};
  Cancel cancel_;
  std::vector<std::unique_ptr<Host>> hosts_;
  LogbookLives logbook_{model_.logbook(), chance_, kGrace / 4, kGrace / 2};
  ProofLives proofs_{chance_};
  RestoreLives restores_{model_, chance_, scheduler_, habits_.pin_life, false, false};
  bool quiet_ = false;         // the end has begun
  bool kept_ = false;          // the last round of a keeper had something to do
  std::size_t under_way_ = 1;  // words and unfinished points that the last prune left
  std::optional<std::string> violated_;
  Outcome out_;
};

}  // namespace

Outcome simulate(std::uint64_t seed, Mischief mischief, std::size_t trace_length, Focus focus) {
  return Simulation(seed, mischief, trace_length, focus).run();
}

}  // namespace lifeboat::vault::simulation
