#include "vault/prune.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "store/probe.hpp"
#include "vault/damage.hpp"
#include "vault/locks.hpp"
#include "vault/prune_points.hpp"
#include "vault/text.hpp"
#include "vault/used_content.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMostNamed = 10'000;  // packs, snapshots of one word; the next run goes on

bool has(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// Packs that are so new that their backup may be under way still: naming them would be safe, and
// would make other backups store anew what they hold.
bool newer_than(const std::string& pack, Timestamp time) {
  return pack >= "packs/" + compact_time(time);
}

std::vector<std::string> names_of(const std::vector<PackInfo>& packs) {
  std::vector<std::string> out;
  for (const auto& pack : packs) out.push_back(pack.name);
  return out;
}

// One run; run() tells it. The measures are those of models/prune.pml.
class Pruner {
 public:
  Pruner(const Vault& vault, const PruneOptions& options, Clock& clock, Random& random,
         const Cancel& cancel)
      : vault_(vault), options_(options), clock_(clock), random_(random), cancel_(cancel) {}

  PruneReport run() {
    check_store();
    settle_pins();
    for (const auto& listed : list_words(vault_)) finish(listed);
    if (options_.only_finish) return std::move(report_);
    const auto others = other_words(vault_, "");
    const auto all = look_until_it_stands();
    report_.unfinished = all.unfinished;
    decide(all, others);
    settle_unfinished(all);
    name_unused(all);
    return std::move(report_);
  }

 private:
  void check_store() const {
    auto known = store::recorded(vault_.store());
    if (!known || known->several_writers() || options_.nobody_else_writes || options_.dry_run) {
      return;
    }
    throw Error(Code::refused, vault_.store().describe(),
                "does not keep several writers apart (" + known->what +
                    "): what a backup is about to use could be deleted",
                "stop all that writes to this vault, and run lifeboat prune --nobody-else-writes");
  }

  void progress(const std::string& doing, std::uint64_t done, std::uint64_t total) {
    cancel_.check();
    if (options_.progress) options_.progress({doing, done, total});
  }

  // What is needed: points, and then pins [11]. Who has pinned a point before he saw it is seen
  // here, when the point is not.
  AllPoints look() {
    auto all = list_all_points(vault_);
    read_pins();
    return all;
  }

  void read_pins() {
    pins_.clear();
    pins_known_ = true;
    for (auto& listed : list_pins(vault_)) {
      if (listed.pin && holds_now(*listed.pin)) pins_.push_back(std::move(*listed.pin));
      if (listed.pin) continue;
      pins_known_ = false;
      if (!told_.insert(listed.id).second) continue;
      report_.problems.push_back(fmt::format(
          "a restore holds a point, and which one is not known: nothing is dropped or deleted. "
          "When none is under way, `lifeboat prune --unpin {}` gives it up ({})",
          listed.id, listed.problem));
    }
    report_.pins = pins_;
  }

  bool holds_now(const Pin& pin) const {
    return !pin.revoked && !(options_.dry_run && (is_due(pin) || is_given_up(pin)));
  }

  bool is_due(const Pin& pin) const {
    const auto life = std::max(options_.grace, options_.pin_life);
    return pin.alive_at() + life.count() < clock_.now();
  }

  bool is_given_up(const Pin& pin) const {
    return options_.unpin.count(pin.point.id) != 0 || options_.unpin.count(pin.id) != 0;
  }

  // [12] A pin is revoked before it counts no more, so that its restore learns it. What is left of
  // it goes when the restore has had time to see it.
  void settle_pins() {
    if (options_.dry_run) return;
    for (const auto& listed : list_pins(vault_)) {
      if (!listed.pin) {
        if (options_.unpin.count(listed.id) != 0) remove(pin_name(listed.id));
        continue;
      }
      const auto& pin = *listed.pin;
      if (pin.revoked) {
        if (*pin.revoked + options_.grace.count() < clock_.now()) remove(pin_name(pin.id));
      } else if (is_given_up(pin)) {
        unpin(pin, "it was given up by prune --unpin on " + options_.host, {});
      } else if (is_due(pin)) {
        unpin(pin,
              "it gave no sign of life since " + to_string(pin.alive_at()) + ", and prune on " +
                  options_.host + " took it for dead",
              pin.alive_at());
      }
    }
  }

  void unpin(const Pin& pin, const std::string& why, const std::optional<Timestamp>& seen) {
    if (revoke_pin(vault_, pin.id, clock_.now(), why, seen)) report_.unpinned.push_back(pin);
  }

  const Pin* pin_of(const std::string& point) const {
    const auto it = std::find_if(pins_.begin(), pins_.end(),
                                 [&](const auto& pin) { return pin.point.id == point; });
    return it == pins_.end() ? nullptr : &*it;
  }

  // Those whose point was removed all the same, while they were written.
  std::vector<const Pin*> pins_alone(const AllPoints& all) const {
    std::vector<const Pin*> out;
    for (const auto& pin : pins_) {
      const bool there = std::any_of(all.points.begin(), all.points.end(),
                                     [&](const auto& one) { return one.id == pin.point.id; });
      if (!there) out.push_back(&pin);
    }
    return out;
  }

  // --- an earlier word

  void finish(const ListedWord& listed) {
    if (!listed.word) {
      report_.problems.push_back(listed.problem + "; nothing is deleted while it is there");
      return;
    }
    auto seen = listed;
    if (!seen.word->suspects && !options_.dry_run) {
      if (!settle(seen)) return;
    }
    const bool dropped = options_.dry_run || drop(*seen.word);
    if (!seen.word->decided) {
      auto due = (seen.word->suspects ? seen.word->suspects->since : clock_.now()) +
                 options_.grace.count();
      due = std::max(due, suspects_live_until(*seen.word));
      if (clock_.now() < due || options_.dry_run) return wait_for(*seen.word, due);
      if (!decide(seen)) return;
    }
    if (options_.dry_run) return wait_for(*seen.word, clock_.now());
    remove_decided(*seen.word, dropped);
  }

  // A suspect whose backup still gives signs of life is waited for.
  Timestamp suspects_live_until(const PruneWord& word) const {
    Timestamp until{0};
    if (!word.suspects || word.suspects->points.empty()) return until;
    const auto& suspects = word.suspects->points;
    for (const auto& one : list_all_points(vault_).unfinished) {
      if (one.revoked || std::ranges::find(suspects, one.id) == suspects.end()) continue;
      until = std::max(until, one.alive_at() + options_.grace.count());
    }
    return until;
  }

  void wait_for(const PruneWord& word, Timestamp due) {
    PruneStep step{word, PruneStep::State::waits, due, {}, 0, 0};
    if (word.suspects) step.open = word.suspects->points;
    report_.due = std::min(report_.due.value_or(due), due);
    report_.steps.push_back(std::move(step));
  }

  // [5] Whoever is open after the word was written may not know it. By the same swap it is settled
  // which points go, as a look at other words, and then at all points, says now. False: that is not
  // known, or somebody else was faster with this word, and goes on with it.
  bool settle(ListedWord& seen) {
    const auto others = other_words(vault_, seen.id);
    const auto all = look_until_it_stands();
    if (!others.known || !all_known(all)) {
      wait_for(*seen.word, clock_.now());
      return false;
    }
    auto word = *seen.word;
    const auto verdicts = judge(all, others.points);
    settle_points(word, all, verdicts, dropped_by(all, verdicts, others),
                  [this](const auto& one) { return outside_of(one); });
    word.suspects.emplace();
    for (const auto& one : all.unfinished) {
      if (!one.revoked) word.suspects->points.push_back(one.id);
    }
    word.suspects->since = clock_.now();
    return swap(seen, word);
  }

  // Who looked longer than others dropped and published could miss the newest point.
  AllPoints look_until_it_stands() {
    for (;;) {
      auto all = look();
      std::set<std::string> seen;
      for (const auto& one : all.points) seen.insert(point_name(one.id));
      for (const auto& one : all.unfinished) seen.insert(point_name(one.id));
      if (seen == names_of_points()) return all;
      cancel_.check();
    }
  }

  std::set<std::string> names_of_points() const {
    std::set<std::string> out;
    vault_.store().list(point_name(""),
                        [&](const store::ObjectInfo& info) { out.insert(info.name); });
    return out;
  }

  bool swap(ListedWord& seen, const PruneWord& word) {
    bool swapped = replace_word(vault_, seen, word);
    if (auto now = swapped ? read_word(vault_, seen.id) : std::nullopt; now && now->word) {
      seen = *now;
      return true;
    }
    return false;
  }

  // [5] [6] [8] Revokes the suspects, then looks again at words and points. What is still unused is
  // written down by one swap: of several that finish a word one decides, and what was decided is
  // never taken back, so that whoever of them wakes up later deletes nothing else. False: it can't
  // be decided now.
  bool decide(ListedWord& seen) {
    bool all_dead = true;
    for (const auto& id : seen.word->suspects->points) all_dead = revoke(id) && all_dead;
    if (!all_dead) {
      wait_for(*seen.word, suspects_live_until(*seen.word));
      return false;
    }
    auto absent = condemned_packs(vault_, seen.id);
    const auto others = other_words(vault_, seen.id);
    auto all = look();
    if (!all_known(all)) {
      wait_for(*seen.word, clock_.now());
      return false;
    }
    auto word = *seen.word;
    word.logs = unneeded_logs(word, others, all);
    UsedContent used(vault_, absent, seen.word->packs, cancel_);
    if (!add_points(all, {}, used)) {
      wait_for(*seen.word, clock_.now());
      return false;
    }
    auto unused = used.unused_packs();
    std::erase_if(unused, [&](const auto& pack) { return !has(seen.word->packs, pack.name); });
    word.packs = names_of(unused);
    std::erase_if(word.snapshots, [&](const auto& name) { return used.uses_snapshot(name); });
    leave_locked(word, unused);
    word.decided = true;
    return swap(seen, word);
  }

  // Who keeps all of the logbook gives up none of it. The window begins with no point that goes,
  // nor later than the word says.
  PrunedLogs unneeded_logs(const PruneWord& word, const OtherWords& others,
                           const AllPoints& all) const {
    if (word.logs.empty() || options_.policy.logbook.count() == 0 || !others.known) return {};
    auto going = others.points;
    going.insert(word.points.begin(), word.points.end());
    auto verdicts = judge(all, going);
    for (auto& one : verdicts) {
      one.keep = true;  // who is there when it is decided counts
      one.begins_window = one.begins_window || (word.window && one.point.id == word.window->point);
    }
    return still_unneeded(vault_, word.logs, point_logs(all, verdicts));
  }

  // False: it has given a sign of life since it was looked at.
  bool revoke(const std::string& id) {
    const auto now = clock_.now();
    auto done = revoke_point(vault_, id, now,
                             "its backup gave no sign of life for the grace period, and prune on " +
                                 options_.host + " took it for dead",
                             now + -options_.grace.count());
    if (done == Revoked::now) report_.revoked.push_back(id);
    return done != Revoked::alive;
  }

  // [7] What it names goes first, then the word.
  void remove_decided(const PruneWord& word, bool dropped) {
    PruneStep step{word, PruneStep::State::finished, {}, {}, 0, 0};
    const auto total = word.packs.size() + word.snapshots.size();
    if (!word.logs.empty()) {
      prune_logs(vault_, word.id, word.logs, make_word_id(clock_, random_));
    }
    for (const auto& name : word.snapshots) {
      progress("delete", step.snapshots, total);
      step.snapshots += remove(name) ? 1 : 0;
    }
    for (const auto& name : word.packs) {
      progress("delete", step.snapshots + step.packs, total);
      step.packs += remove(name) ? 1 : 0;
    }
    if (!remove_outside(word) || !dropped) return wait_for(word, clock_.now());
    remove_word(vault_, word.id);
    report_.steps.push_back(std::move(step));
  }

  // What points have beside the vault is found by their documents only: the word must stay until
  // all of it is gone, or nobody would know of it. False: points are there that have it, or pins.
  bool remove_outside(const PruneWord& word) {
    if (word.outside.empty() || !options_.outside || !options_.remove_outside) return true;
    const auto all = look();
    if (!all_known(all)) return false;
    std::set<std::string> held;
    for (const auto* pin : pins_alone(all)) held.merge(outside_of(pin->point));
    for (const auto& one : all.points) held.merge(outside_of(one));
    bool all_gone = true;
    for (const auto& name : word.outside) {
      all_gone = all_gone && !held.contains(name);
      if (!held.contains(name)) options_.remove_outside(name);
    }
    return all_gone;
  }

  std::set<std::string> outside_of(const RecoveryPoint& point) const {
    if (!options_.outside) return {};
    const auto names = options_.outside(point);
    return {names.begin(), names.end()};
  }
  std::set<std::string> outside_of(const ListedPoint& one) const {
    return one.point ? outside_of(*one.point) : std::set<std::string>();
  }

  bool remove(const std::string& name) {
    try {
      return vault_.store().remove(name);
    } catch (const Error& error) {
      if (error.code() != Code::denied) throw;
      throw Error(Code::denied, error.subject(), error.message(),
                  "prune is what deletes: run it with credentials that may delete in this vault");
    }
  }

  // --- what is kept

  std::vector<PointVerdict> judge(const AllPoints& all, const std::set<std::string>& going) const {
    auto verdicts = judge_points(all, options_.policy, options_.drop, going);
    keep_locked_points(verdicts);
    keep_pinned_points(verdicts);
    return verdicts;
  }

  std::set<std::string> dropped_by(const AllPoints& all, const std::vector<PointVerdict>& verdicts,
                                   const OtherWords& others) const {
    return names_of_dropped(all, verdicts, options_.drop, others);
  }

  void decide(const AllPoints& all, const OtherWords& others) {
    report_.broken.clear();
    for (const auto& one : all.points) {
      if (!one.point) report_.broken.push_back(one);
    }
    report_.points = judge(all, others.points);
    bool none = std::none_of(report_.points.begin(), report_.points.end(),
                             [](const auto& one) { return one.keep; });
    if (!none || report_.points.empty()) return;
    throw Error(Code::refused, vault_.store().describe(), "no good point would be left",
                "keep one of them, or take a new point first (lifeboat backup)");
  }

  // All that such a point needs is locked too: dropping it would free nothing.
  void keep_locked_points(std::vector<PointVerdict>& verdicts) const {
    std::vector<std::string> names;
    for (const auto& one : verdicts) {
      const bool is_asked = options_.drop.contains(one.point.id);
      if (!one.keep && !is_asked) names.push_back(point_name(one.point.id));
    }
    const auto locked = locked_now(vault_, names, cancel_);
    for (auto& one : verdicts) {
      const auto it = locked.find(point_name(one.point.id));
      if (it == locked.end()) continue;
      one.keep = true;
      one.reasons = {"locked until " + to_string(it->second)};
    }
  }

  void keep_pinned_points(std::vector<PointVerdict>& verdicts) const {
    for (auto& one : verdicts) {
      const auto* pin = pin_of(one.point.id);
      if (pin == nullptr) continue;
      if (!one.keep) one.reasons.clear();
      one.keep = true;
      one.reasons.push_back(describe(*pin));
    }
  }

  bool dropped(const std::string& id) const {
    return std::any_of(report_.points.begin(), report_.points.end(),
                       [&](const auto& one) { return one.point.id == id && !one.keep; });
  }

  // What a broken point needs is not known: then nothing is unused for sure.
  bool all_known(const AllPoints& all) {
    bool known = pins_known_;
    for (const auto& one : all.points) {
      if (one.point || options_.drop.count(one.id) != 0) continue;
      known = false;
      if (told_.insert(one.id).second) {
        report_.problems.push_back(
            fmt::format("point {} can't be read, and what it needs is not known: no content is "
                        "deleted. `lifeboat prune --drop {}` gives it up ({})",
                        one.id, one.id, one.problem));
      }
    }
    return known;
  }

  // False: of one of them it can't be known what it needs.
  bool add_points(const AllPoints& all, const std::set<std::string>& but, UsedContent& used) {
    std::uint64_t done = 0;
    bool known = true;
    for (const auto& one : all.points) {
      progress("points", done++, all.points.size());
      if (one.point && but.count(one.id) == 0) known = add_point(*one.point, used) && known;
    }
    for (const auto* pin : pins_alone(all)) known = add_point(pin->point, used) && known;
    return known;
  }

  bool add_point(const RecoveryPoint& point, UsedContent& used) {
    try {
      used.add(point);
      return true;
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;
      // Another pruner dropped it while this one slept: then it needs nothing. A restore that has
      // seen it since it pinned it has all of it.
      if (!vault_.store().stat(point_name(point.id))) return true;
      if (options_.drop.count(point.id) == 0 && told_.insert(point.id).second) {
        report_.problems.push_back(
            fmt::format("what point {0} needs is not known, so no content is deleted: {1}. "
                        "`lifeboat verify --point {0}` says how to heal it; `lifeboat prune --drop "
                        "{0}` gives it up",
                        point.id, error.what()));
      }
      return false;
    }
  }

  std::vector<PointLogs> point_logs(const AllPoints& all,
                                    const std::vector<PointVerdict>& verdicts) const {
    std::vector<PointLogs> out;
    std::vector<const RecoveryPoint*> points;
    bool in_window = std::none_of(verdicts.begin(), verdicts.end(),
                                  [](const auto& one) { return one.begins_window; });
    for (const auto& verdict : verdicts) {
      const auto& id = verdict.point.id;
      in_window = in_window || verdict.begins_window || is_followed(id);
      const auto it = std::find_if(all.points.begin(), all.points.end(),
                                   [&](const auto& one) { return one.id == id; });
      out.push_back({id, verdict.keep, in_window, logs_of(*it->point), {}});
      points.push_back(&*it->point);
    }
    for (const auto* pin : pins_alone(all)) {
      out.push_back({pin->point.id, true, in_window || pin->follows, logs_of(pin->point), {}});
      points.push_back(&pin->point);
    }
    if (options_.log_starts) options_.log_starts(points, out);
    return out;
  }

  // A restore reads the logs from there on: the window begins no later.
  bool is_followed(const std::string& point) const {
    return std::any_of(pins_.begin(), pins_.end(),
                       [&](const auto& pin) { return pin.follows && pin.point.id == point; });
  }

  // Open ones that are older than the grace period are dead; what is left of revoked ones goes when
  // their backups have had time to see it.
  void settle_unfinished(const AllPoints& all) {
    const auto long_ago = clock_.now() + -options_.grace.count();
    for (const auto& one : all.unfinished) {
      std::vector<std::string> outside;
      if (options_.outside_unfinished) outside = options_.outside_unfinished(one);
      report_.unpublished.insert(report_.unpublished.end(), outside.begin(), outside.end());
      if (options_.dry_run) continue;
      if (!one.revoked && one.alive_at() < long_ago) revoke(one.id);
      if (!one.revoked || *one.revoked >= long_ago) continue;
      // Only the point's name leads to them: it goes last.
      for (const auto& name : outside) options_.remove_outside(name);
      remove(point_name(one.id));
    }
  }

  // --- a new word

  // Nothing when it can't be known what is unused: what points have beside the vault would be
  // forgotten if they were dropped now.
  void name_unused(const AllPoints& all) {
    bool broken_word = false;
    bool logs_named = options_.policy.logbook.count() == 0;
    std::set<std::string> named;  // by other words: theirs
    for (const auto& listed : list_words(vault_)) {
      broken_word = broken_word || !listed.word;
      if (!listed.word) continue;
      logs_named = logs_named || !listed.word->logs.empty();
      for (const auto* names : {&listed.word->packs, &listed.word->snapshots}) {
        named.insert(names->begin(), names->end());
      }
    }
    if (broken_word || !all_known(all)) return keep_all_for_now();
    std::set<std::string> gone;
    for (const auto& one : all.points) {
      if (dropped(one.id)) gone.insert(one.id);
    }
    UsedContent used(vault_, named, {}, cancel_);
    if (!add_points(all, gone, used)) return keep_all_for_now();
    if (!logs_named) report_.logs = plan_pruning(vault_, point_logs(all, report_.points));
    auto word = unused_now(all, used, named);
    for (const auto& one : report_.logs) word.logs.narrow(one.verdict.log, one.verdict.kept);
    name_points(word);
    if (word.names_nothing()) return;
    if (options_.dry_run) {
      report_.steps.push_back({std::move(word), PruneStep::State::planned, {}, {}, 0, 0});
    } else {
      announce(word);
    }
  }

  void keep_all_for_now() {
    for (auto& one : report_.points) {
      if (one.keep) continue;
      one.keep = true;
      one.reasons = {"for now, as it is not known what may be deleted"};
    }
  }

  // By what there is now: it may have taken long to find what they use.
  void name_points(PruneWord& word) {
    const auto planned = beginning_of(report_.points);
    const auto others = other_words(vault_, word.id);
    const auto all = look_until_it_stands();
    decide(all, others);
    word.window = beginning_of(report_.points);
    if (word.window < planned) {
      word.logs = PrunedLogs();
      report_.logs.clear();
    }
    const auto go = dropped_by(all, report_.points, others);
    word.points.assign(go.begin(), go.end());
    std::set<std::string> outside;
    for (const auto& one : all.points) {
      if (go.contains(point_name(one.id))) outside.merge(outside_of(one));
    }
    word.outside.assign(outside.begin(), outside.end());
  }

  void announce(const PruneWord& word) {
    write_word(vault_, word);
    ListedWord seen;
    if (auto written = read_word(vault_, word.id); written && written->word) seen = *written;
    if (!seen.word || (!seen.word->suspects && !settle(seen))) return;
    for (auto& one : report_.points) {
      const auto name = point_name(one.point.id);
      if (!has(word.points, name) || has(seen.word->points, name)) continue;
      one.keep = true;
      one.reasons = {"for now, as others prune, or have published a point: a later run drops it"};
    }
    drop(*seen.word);
    keep_pinned_points(report_.points);
    wait_for(*seen.word, seen.word->suspects->since + options_.grace.count());
  }

  PruneWord unused_now(const AllPoints& all, const UsedContent& used,
                       const std::set<std::string>& named) {
    PruneWord word;
    word.id = make_word_id(clock_, random_);
    word.created = clock_.now();
    word.host = options_.host;
    auto new_since = clock_.now() + -options_.grace.count();
    for (const auto& one : all.unfinished) {
      if (!one.revoked) new_since = std::min(new_since, one.created);
    }
    auto unused = used.unused_packs();
    std::erase_if(unused, [&](const auto& pack) { return newer_than(pack.name, new_since); });
    word.packs = names_of(unused);
    vault_.store().list("snapshots/", [&](const store::ObjectInfo& info) {
      if (named.count(info.name) != 0 || used.uses_snapshot(info.name)) return;
      word.snapshots.push_back(info.name);
    });
    leave_locked(word, unused);
    return word;
  }

  // Takes out of the word what is locked (also what was locked again since it was named), and what
  // is too much for one word. `packs` are the word's.
  void leave_locked(PruneWord& word, const std::vector<PackInfo>& packs) {
    auto names = word.packs;
    names.insert(names.end(), word.snapshots.begin(), word.snapshots.end());
    const auto locked = locked_now(vault_, names, cancel_);
    tell_locked(locked, packs);
    auto is_locked = [&](const std::string& name) { return locked.count(name) != 0; };
    std::erase_if(word.packs, is_locked);
    std::erase_if(word.snapshots, is_locked);
    word.packs.resize(std::min(word.packs.size(), kMostNamed));
    word.snapshots.resize(std::min(word.snapshots.size(), kMostNamed));
    word.bytes = ByteCount(0);
    for (const auto& pack : packs) {
      if (has(word.packs, pack.name)) word.bytes = word.bytes + pack.size.value;
    }
  }

  // Each once: what a word lets go of is looked at again for the next one.
  void tell_locked(const std::map<std::string, Timestamp>& locked,
                   const std::vector<PackInfo>& packs) {
    std::map<std::string, ByteCount> size_of;
    for (const auto& pack : packs) size_of[pack.name] = pack.size;
    for (const auto& [name, until] : locked) {
      if (!told_.insert(name).second) continue;
      auto& told = report_.locked ? *report_.locked : report_.locked.emplace();
      const auto pack = size_of.find(name);
      ++(pack != size_of.end() ? told.packs : told.snapshots);
      if (pack != size_of.end()) told.bytes = told.bytes + pack->second.value;
      told.first = std::min(told.first.value_or(until), until);
      told.last = std::max(told.last, until);
    }
  }

  // What is settled: from here on they can't be restored, and what they alone used goes when it is
  // due. Any pruner does it. False: some must stay for now.
  bool drop(const PruneWord& word) {
    if (word.points.empty()) return true;
    read_pins();  // who has pinned one since, and sees the word or not, mostly keeps it so
    if (!pins_known_) return false;
    const auto there = names_of_points();
    bool all = true;
    for (const auto& name : word.points) {
      if (!there.contains(name)) continue;
      const auto id = name.substr(point_name("").size());
      cancel_.check();
      if (pin_of(id) != nullptr) {
        all = false;
      } else if (remove(name)) {
        report_.dropped.push_back(id);
      }
    }
    return all;
  }

  const Vault& vault_;
  const PruneOptions& options_;
  Clock& clock_;
  Random& random_;
  const Cancel& cancel_;
  PruneReport report_;
  std::vector<Pin> pins_;       // that count, when somebody looked last…
  bool pins_known_ = true;      // …and whether they could be read
  std::set<std::string> told_;  // broken points and pins, and what is locked
};

}  // namespace

PruneReport prune(const Vault& vault, const PruneOptions& options, Clock& clock, Random& random,
                  const Cancel& cancel) {
  return Pruner(vault, options, clock, random, cancel).run();
}

}  // namespace lifeboat::vault
