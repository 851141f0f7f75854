#include "vault/verify.hpp"

#include <fmt/format.h>

#include <map>

#include "vault/damage.hpp"
#include "vault/damage_list.hpp"
#include "vault/keys.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_format.hpp"
#include "vault/logbook_survey.hpp"
#include "vault/object_check.hpp"
#include "vault/pins.hpp"
#include "vault/point_walk.hpp"
#include "vault/points.hpp"
#include "vault/prune_word.hpp"
#include "vault/pruned_logs.hpp"
#include "vault/summary_format.hpp"

namespace lifeboat::vault {
namespace {

Error stray(const std::string& name, const std::string& what) {
  return Error(Code::corrupt, name, "is not a name that " + what + " has",
               "move it out of the vault");
}

class Verifier {
 public:
  Verifier(const Vault& vault, const VerifyOptions& options, const Cancel& cancel)
      : vault_(vault),
        options_(options),
        cancel_(cancel),
        read_again_(options.damaged.begin(), options.damaged.end()) {}

  // What is named is looked for; then bytes are read; what is damaged there is looked for in all
  // points. Points are listed first: what one names was durable before it was there.
  VerifyReport run() {
    try {
      check_root();
      if (!options_.point) {
        check_records();
        check_pruned();
      }
      list_points();
      load_packs();
      for (const auto& listed : points_) {
        if (listed.point && is_asked(listed.id)) walk(*listed.point);
      }
      logbook_objects_ = list_logbook(vault_, stray_objects_);
      if (!options_.point) {
        check_other_snapshots();
        check_summaries();
      }
      load_logbook();
      read_objects();
      name_what_is_hit();
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      report_.stopped = true;
      all_at_risk_ = true;
      if (report_.unread.empty() || report_.unread.back() != error.what()) {
        report_.unread.push_back(error.what());
      }
    }
    return finish();
  }

 private:
  bool is_asked(const std::string& point) const {
    return !options_.point || *options_.point == point;
  }

  // Neither good nor bad. Throws when it is not this object, but the store.
  void note_unread(const Error& error) {
    if (error.code() == Code::cancelled) throw error;
    std::string what = error.what();
    if (error.code() == Code::unsupported) what += "; next: " + error.hint();
    if (unread_.insert(what).second) report_.unread.push_back(what);
    if (is_away(error.code()) && ++away_ > kMostAway) throw error;
  }

  // Runs one check; what it throws of damage becomes a damage of the object.
  template <typename Check>
  bool object(const std::string& name, const std::string& kind, const std::string& point,
              const std::string& hit, Check&& check) {
    cancel_.check();
    ++report_.objects;
    progress(kind);
    try {
      check();
      return true;
    } catch (const Error& error) {
      if (!point.empty()) not_walked_.insert(point);
      if (is_known_damage(error.code())) {
        damages_.add(name, kind, error, point, hit);
        return false;
      }
      // What a newer Lifeboat wrote, and no point names, costs none.
      all_at_risk_ = all_at_risk_ || (point.empty() && error.code() != Code::unsupported);
      if (!point.empty()) at_risk_.emplace(point, error.what());
      note_unread(error);
      return false;
    }
  }

  void progress(const std::string& doing) {
    if (options_.progress) options_.progress({report_.objects, report_.bytes, to_read_, doing});
  }

  // --- what is there

  void check_root() {
    object("vault", "root", "", "", [&] {
      if (Vault::read_root(vault_.store()) != vault_.root()) {
        throw_corrupt(ObjectType::root, "vault", "is not the one any more that was opened");
      }
    });
    for (const auto& key : check_keys(vault_)) {
      object(key.name, "key", "", "", [&] {
        if (key.problem) throw *key.problem;
      });
    }
  }

  // A word or a pin that cannot be read blocks pruning: all that it could name is kept.
  void check_records() {
    for (const auto& one : list_words(vault_)) {
      check_read(ObjectType::word, word_name(one.id), one.word.has_value(), one.problem);
    }
    for (const auto& one : list_pins(vault_)) {
      check_read(ObjectType::pin, pin_name(one.id), one.pin.has_value(), one.problem);
    }
    for (const auto& one : list_proofs(vault_)) {
      check_read(ObjectType::proof, proof_name(one.id), one.proof.has_value(), one.problem);
    }
  }

  void check_read(ObjectType type, const std::string& name, bool is_whole,
                  const std::string& problem) {
    object(name, std::string(to_string(type)), "", "", [&] {
      auto bytes = is_whole ? std::nullopt : vault_.store().get(name);
      if (!bytes) return;
      unseal(vault_.sealing(), type, name, *bytes);
      throw_corrupt(type, name, problem);
    });
  }

  void check_pruned() {
    const auto found = read_pruned(vault_);
    for (const auto& name : found.objects) {
      object(name, "pruned", "", "", [&] {
        for (const auto& bad : found.damaged) {
          if (bad.object == name) throw bad.error;
        }
      });
    }
  }

  void list_points() {
    points_ = vault::list_points(vault_);
    for (const auto& listed : points_) {
      if (!is_asked(listed.id)) continue;
      ++report_.points;
      object(point_name(listed.id), "point", listed.id, "point " + listed.id, [&] {
        if (!listed.point) read_point(vault_, listed.id);
      });
    }
  }

  // Every pack there is, whoever needs it.
  void load_packs() {
    index_ = std::make_shared<PackIndex>(PackIndex::load(vault_, {}, cancel_));
    chunks_ = std::make_unique<Chunks>(vault_, index_);
    for (const auto& bad : index_->unreadable()) bad_footer(bad);
    list_packs(vault_,
               [&](const auto& name) { damages_.add(name, "pack", stray(name, "a pack")); });
    for (std::uint32_t i = 0; i < index_->packs().size(); ++i) {
      pack_numbers_.emplace(index_->packs()[i].name, i);
    }
    report_.objects += index_->packs().size();
    needed_chunks_.assign(index_->chunks(), false);
    needed_packs_.assign(index_->packs().size(), false);
    progress("pack");
  }

  void bad_pack(const std::string& name, const Error& error) {
    damages_.add(name, "pack", error);
    report_.damaged.insert(name);
  }

  // What it holds is not known. What is found nowhere else is taken to lie there.
  void bad_footer(const PackIndex::Unreadable& bad) {
    if (!is_known_damage(bad.error.code())) {
      unread_packs_.push_back(bad.name);
      return note_unread(bad.error);
    }
    bad_pack(bad.name, bad.error);
    lost_footers_.push_back(bad.name);
    damages_.explain(bad.name);
  }

  void walk(const RecoveryPoint& point) {
    PointWalk walk(*chunks_, cancel_);
    packs_of_point_.assign(index_->packs().size(), false);
    for (const auto& id : snapshots_of(point)) {
      auto name = snapshot_name(vault_, id);
      of_points_.insert(name);
      object(name, "snapshot", point.id, "point " + point.id + " snapshot " + id.hex(), [&] {
        walk.snapshot(point.id, id,
                      [&](const ChunkRef& ref, const ChunkUse& use) { need(ref, name, use); });
      });
      // What is wrong with a page of the list is its pack's damage.
      if (const auto& error = walk.damaged_list()) {
        not_walked_.insert(point.id);
        if (!is_known_damage(error->code())) {
          at_risk_.emplace(point.id, error->what());
          note_unread(*error);
          continue;
        }
        auto at = error->subject().find(kPackPrefix);
        if (at == std::string::npos) {  // a page that is missing was named by need()
          if (!damages_.failed().contains(point.id) && !at_risk_.contains(point.id)) {
            damages_.add(name, "snapshot", *error, point.id);
          }
          continue;
        }
        bad_pack(error->subject().substr(at), *error);
        damages_.explain(error->subject().substr(at));
        damages_.hit(error->subject().substr(at), point.id,
                     walk.describe_snapshot(point.id, id) + " list of entries");
      }
    }
  }

  void need(const ChunkRef& ref, const std::string& snapshot, const ChunkUse& use) {
    auto place = index_->find(ref.digest);
    if (!place) return lacks(snapshot, use);
    needed_packs_[place->pack] = true;
    if (options_.depth == Depth::sample && !packs_of_point_[place->pack]) {
      packs_of_point_[place->pack] = true;
      sets_[use.point] += place_of(0, index_->packs()[place->pack].name);
    }
    needed_chunks_[*index_->number(ref.digest)] = true;
  }

  void lacks(const std::string& snapshot, const ChunkUse& use) {
    if (!unread_packs_.empty()) {
      at_risk_.emplace(use.point, "what could not be read (" + unread_packs_.front() +
                                      ") may be all that has " + use.text());
    } else if (!lost_footers_.empty()) {
      for (const auto& name : lost_footers_) damages_.hit(name, use.point, use.text());
    } else {
      damages_.add(snapshot, "chunk", lacks_chunks(snapshot), use.point, use.text());
    }
  }

  static Error lacks_chunks(const std::string& name) {
    return Error(Code::not_found, "snapshot " + name,
                 "lacks chunks: no pack has them, one is missing",
                 "run lifeboat backup: what still exists at its source is written again; put a "
                 "missing pack back from a replica of the vault");
  }

  // Those of backups that are under way, and of points that were dropped: what they name may be on
  // its way in, or out. Only they themselves are looked at.
  void check_other_snapshots() {
    vault_.store().list("snapshots/", [&](const store::ObjectInfo& info) {
      auto hex = info.name.substr(info.name.rfind('/') + 1);
      if (!SnapshotId::parse(hex) || info.name != "snapshots/" + hex) {
        damages_.add(info.name, "snapshot", stray(info.name, "a snapshot"));
      } else if (!of_points_.contains(info.name)) {
        object(info.name, "snapshot", "", "", [&] { read_root_if_there(info.name); });
      }
    });
  }

  void read_root_if_there(const std::string& name) {
    try {
      SnapshotReader root(*chunks_, name);
    } catch (const Error& error) {
      if (error.code() != Code::not_found) throw;
    }
  }

  // Nobody loses anything with a summary; who reads is told, and reads the footers.
  void check_summaries() {
    std::map<std::string, ByteCount> sizes;
    for (const auto& found : logbook_objects_) sizes[logbook_name(found.name)] = found.size;
    vault_.store().list(std::string(kSummaryPrefix), [&](const store::ObjectInfo& info) {
      object(info.name, "summary", "", "", [&] {
        auto bytes = vault_.store().get(info.name);
        if (!bytes) return;  // superseded meanwhile
        auto summary = open_summary(vault_.sealing(), info.name, *bytes);
        for (const auto& one : summary.objects) check_size(one, sizes);
        if (options_.depth != Depth::data) return;
        for (const auto& log : summary.logs) {
          open_summarized(vault_.sealing(), info.name, summary, log,
                          bytes->substr(log.offset.value, log.stored.value));
        }
      });
    });
  }

  // The footer of an object that a summary tells of is not read.
  void check_size(const ObjectEntry& told, const std::map<std::string, ByteCount>& sizes) {
    auto name = logbook_name(told.name);
    auto found = sizes.find(name);
    if (found == sizes.end() || found->second == told.size) return;
    damages_.add(name, "logbook",
                 Error(Code::corrupt, name,
                       fmt::format("has {} bytes instead of {}", found->second, told.size),
                       "run lifeboat verify --data: it names the ranges that are lost"));
    read_again_.insert(name);
  }

  void load_logbook() {
    report_.objects += logbook_objects_.size();
    try {
      logbook_ = Logbook::load(vault_);
    } catch (const Error& error) {  // a newer format, or not to be had
      if (error.code() != Code::unsupported) all_at_risk_ = true;
      for (const auto& listed : points_) {
        if (listed.point && !logs_of(*listed.point).empty()) {
          at_risk_.emplace(listed.id, error.what());
        }
      }
      return note_unread(error);
    }
    for (const auto& bad : logbook_->damaged()) {
      if (bad.object.starts_with(kPrunedPrefix)) continue;  // named by check_pruned()
      if (!is_known_damage(bad.error.code())) {             // a summary: the footers tell the same
        note_unread(bad.error);
        continue;
      }
      damages_.add(bad.object, bad.costs_nothing() ? "summary" : "logbook", bad.error);
      if (bad.error.code() == Code::corrupt && !bad.costs_nothing())
        lost_logbook_object(bad.object);
    }
    for (const auto& listed : points_) {
      if (!listed.point || !is_asked(listed.id)) continue;
      for (const auto& start : logs_of(*listed.point)) {
        check_log(listed.id, start);
        if (options_.depth == Depth::sample) add_to_set(listed.id, start);
        if (!options_.point) continue;
        auto [at, is_new] = asked_logs_.emplace(start.log, start.position);
        at->second = std::min(at->second, start.position);
      }
    }
  }

  // What it held is not known but by summaries: what points lack is taken to lie there.
  void lost_logbook_object(const std::string& name) {
    report_.damaged.insert(name);
    damages_.explain(name, DamageList::Content::unknown);
    if (!lost_books_.insert(name).second || !logbook_) return;
    for (const auto& summary : logbook_->logs()) {
      for (auto& extent : logbook_->extents_in(summary.log, name)) {
        damages_.hit(name, "", "log " + describe(extent));
        bad_extents_.push_back({name, std::move(extent)});
      }
    }
  }

  // Of what makes the point consistent: what follows is the log's, and always grows.
  void add_to_set(const std::string& point, const LogStart& start) {
    const auto until = start.until.value_or(start.position);
    for (const auto& object : logbook_->objects(start.log, start.position, until)) {
      sets_[point] += place_of(0, object);
    }
  }

  // What makes the point consistent, and of what follows all that was not pruned.
  Ranges needed_of(const LogStart& start, const LogName& log) const {
    auto needed = intersect({{start.position, kLastPosition}}, logbook_->left(log));
    if (start.until && start.position < *start.until) {
      needed.push_back({start.position, *start.until});
    }
    return unite(std::move(needed));
  }

  void check_log(const std::string& point, const LogStart& start) {
    ++report_.objects;
    const auto until = start.until.value_or(start.position);
    const auto to = std::max(until, logbook_->next(start.log).value_or(until));
    const Ranges asked = {{start.position, to}};
    auto holes = holes_in(start, asked);
    // Of what is written while the logbook is listed, the listing may have the later part only.
    if (!holes.empty() && logbook_->refresh() > 0) holes = holes_in(start, holes);
    for (const auto& range : holes) missing(point, start.log, range.from, range.to);
  }

  Ranges holes_in(const LogStart& start, const Ranges& asked) const {
    return subtract(intersect(needed_of(start, start.log), asked),
                    logbook_->coverage(start.log).ranges);
  }

  void missing(const std::string& point, const LogName& log, Position from, Position to) {
    if (from >= to) return;
    std::string range = log.value + fmt::format(" [{}, {})", from, to);
    damages_.add(range, "range",
                 Error(Code::not_found, range, "is missing from the logbook",
                       "recover to before it, or take a new point (lifeboat backup)"),
                 point, "log " + range);
    for (const auto& name : lost_books_) damages_.hit(name, point, "log " + range);
  }

  // --- bytes

  void read_objects() {
    auto packs = units_of_packs();
    auto books = units_of_logbook();
    for (const auto* units : {&packs, &books}) {
      for (const auto& unit : *units) report_.total = report_.total + unit.size.value;
    }
    auto next = options_.from;
    auto chosen = choose(packs, next.packs);
    for (auto& one : choose(books, next.logbook)) chosen.push_back(std::move(one));
    report_.next = next;
    for (const auto& one : chosen) to_read_ = to_read_ + one.size.value;
    CheckedParts wanted;
    if (options_.point) {
      wanted.chunk = [&](const PackedChunk& chunk) {
        auto number = index_->number(chunk.digest);
        return number && needed_chunks_[*number];
      };
      wanted.extent = [&](const Extent& extent) {
        auto log = asked_logs_.find(base_of(extent.log));
        return log != asked_logs_.end() && extent.next > log->second;
      };
    }
    check_objects(vault_, chosen, wanted, cancel_, [&](ObjectCheck check) { take(check); });
    if (options_.point && options_.depth == Depth::data) report_.total = report_.bytes;
    for (const auto& name : options_.damaged) {
      if (!options_.point && !vault_.store().stat(name)) report_.settled.insert(name);
    }
  }

  std::vector<SampleUnit> units_of_packs() const {
    std::vector<SampleUnit> out;
    for (std::size_t i = 0; i < index_->packs().size(); ++i) {
      const auto& pack = index_->packs()[i];
      if (!options_.point || needed_packs_[i]) out.push_back({pack.name, pack.size});
    }
    return out;
  }

  std::vector<SampleUnit> units_of_logbook() {
    std::set<std::string> needed;
    std::vector<LogSummary> logs;
    if (options_.point && logbook_) logs = logbook_->logs();
    for (const auto& summary : logs) {
      auto log = asked_logs_.find(base_of(summary.log));
      if (log == asked_logs_.end()) continue;
      for (auto& name : logbook_->objects_of(summary.log, log->second)) {
        needed.insert(std::move(name));
      }
    }
    std::vector<SampleUnit> out;
    for (const auto& found : logbook_objects_) {
      auto name = logbook_name(found.name);
      if (!options_.point || needed.contains(name)) out.push_back({std::move(name), found.size});
    }
    return out;
  }

  // The log that went on as this one when it was cut back (docs/format.md).
  static LogName base_of(const LogName& log) {
    return {log.value.substr(0, log.value.find("/epoch-"))};
  }

  // As the depth says; `at` goes on to where the next sample begins.
  std::vector<ObjectToCheck> choose(const std::vector<SampleUnit>& units, std::uint64_t& at) const {
    std::optional<Arc> arc;
    if (options_.depth == Depth::data) arc = Arc{at, at};
    if (options_.depth == Depth::sample) {
      arc = arc_of(units, options_.from.seed, at, options_.share);
      if (arc) at = arc->upto;
    }
    std::vector<ObjectToCheck> out;
    for (const auto& unit : units) {
      bool chosen = arc && arc->holds(place_of(options_.from.seed, unit.name));
      if (chosen || read_again_.contains(unit.name)) out.push_back({unit.name, unit.size});
    }
    return out;
  }

  void take(const ObjectCheck& check) {
    report_.bytes = report_.bytes + check.bytes.value;
    report_.content = report_.content + check.content.value;
    const bool is_pack = check.name.starts_with(kPackPrefix);
    progress(is_pack ? "pack" : "logbook");
    if (check.unread) {
      all_at_risk_ = true;  // also who needs nothing of it
      note_unread(*check.unread);
    }
    if (!check.error) {
      if (!check.unread && !options_.point && read_again_.contains(check.name)) {
        report_.settled.insert(check.name);
      }
      return;
    }
    if (!is_known_damage(check.error->code())) {
      all_at_risk_ = true;
      return note_unread(*check.error);
    }
    bool gone = check.error->code() == Code::not_found;
    // Pruned, merged: when something of it is missed, that is named.
    if (!gone) damages_.add(check.name, is_pack ? "pack" : "logbook", *check.error);
    if (!gone) report_.damaged.insert(check.name);
    if (!check.lost && !gone) damages_.explain(check.name);
    if (is_pack) return take_pack(check);
    if (check.lost && !gone) lost_logbook_object(check.name);
    for (const auto& extent : check.extents) {
      damages_.hit(check.name, "", "log " + describe(extent));
      bad_extents_.push_back({check.name, extent});
    }
  }

  void take_pack(const ObjectCheck& check) {
    auto number = pack_numbers_.find(check.name);
    if (number == pack_numbers_.end()) return;
    if (check.lost) lost_packs_.insert(number->second);
    for (auto offset : check.chunks) bad_chunks_.insert({number->second, offset});
  }

  // --- what it costs

  void name_what_is_hit() {
    const bool not_all_walked = options_.point && !lost_footers_.empty();
    if (!bad_chunks_.empty() || !lost_packs_.empty() || not_all_walked) {
      for (const auto& listed : points_) {
        if (listed.point) name_hits(*listed.point);
      }
    }
    name_what_may_be_hit();
    for (const auto& [name, extent] : bad_extents_) {
      if (!logbook_ || logbook_->held_elsewhere(extent, report_.damaged)) continue;
      for (const auto& listed : points_) {
        if (!listed.point) {
          damages_.may_hit(name, listed.id);
          continue;
        }
        for (const auto& start : logs_of(*listed.point)) {
          if (base_of(extent.log) != start.log ||
              !meets(needed_of(start, extent.log), {extent.base, extent.next})) {
            continue;
          }
          damages_.hit(name, listed.id, "point " + listed.id);
        }
      }
    }
  }

  // By points of which it is not known what they need.
  void name_what_may_be_hit() {
    for (const auto& listed : points_) {
      if (!listed.point) not_walked_.insert(listed.id);
    }
    std::set<std::string> packs(lost_footers_.begin(), lost_footers_.end());
    for (auto pack : lost_packs_) packs.insert(index_->packs()[pack].name);
    for (const auto& [pack, _] : bad_chunks_) packs.insert(index_->packs()[pack].name);
    for (const auto& name : packs) {
      for (const auto& point : not_walked_) damages_.may_hit(name, point);
    }
  }

  // Of all points, whatever was asked: who is told of damage wants to know all that it costs.
  void name_hits(const RecoveryPoint& point) {
    PointWalk walk(*chunks_, cancel_);
    for (const auto& id : snapshots_of(point)) {
      try {
        walk.snapshot(point.id, id, [&](const ChunkRef& ref, const ChunkUse& use) {
          name_hit(snapshot_name(vault_, id), ref, use);
        });
        if (walk.damaged_list()) not_walked_.insert(point.id);
      } catch (const Error& error) {
        not_walked_.insert(point.id);
        if (!is_damage(error.code())) note_unread(error);  // else named before
      }
    }
  }

  void name_hit(const std::string& snapshot, const ChunkRef& ref, const ChunkUse& use) {
    const auto places = index_->places(ref.digest);
    if (places.empty() && !lost_footers_.empty()) return lacks(snapshot, use);
    for (const auto& place : places) {
      bool lost = lost_packs_.contains(place.pack);
      if (!lost && !bad_chunks_.contains({place.pack, place.offset})) continue;
      if (is_readable(ref)) return;
      const auto& name = index_->packs()[place.pack].name;
      if (!damages_.has(name)) {
        damages_.add(name, "pack",
                     Error(Code::not_found, name, "is missing from the vault",
                           "run lifeboat backup: what still exists at its source is stored anew"));
      }
      damages_.hit(name, use.point, use.text());
    }
  }

  // From another pack, perhaps one that was written meanwhile.
  bool is_readable(const ChunkRef& ref) {
    auto [found, is_new] = readable_.emplace(ref.digest, false);
    if (!is_new) return found->second;
    try {
      chunks_->get(ref);
      found->second = true;
    } catch (const Error& error) {
      if (!is_damage(error.code())) note_unread(error);
    }
    return found->second;
  }

  VerifyReport finish() {
    forget_dropped_points();
    if (all_at_risk_) report_.next.reset();
    for (const auto& one : stray_objects_) damages_.add(one.object, "logbook", one.error);
    for (const auto& listed : points_) add_result(listed.id);
    report_.damages = damages_.take();
    report_.more_damages = damages_.more();
    progress("done");
    return std::move(report_);
  }

  void forget_dropped_points() {
    try {
      for (const auto& listed : points_) {
        if (!damages_.failed().contains(listed.id) && !not_walked_.contains(listed.id)) continue;
        if (!vault_.store().stat(point_name(listed.id))) damages_.forget_point(listed.id);
      }
    } catch (const Error& error) {
      report_.unread.push_back(error.what());
    }
  }

  // Points that were not asked for have one too when they were found to lose something.
  void add_result(const std::string& point) {
    auto failed = damages_.failed().find(point);
    if (failed != damages_.failed().end()) {
      report_.results.push_back({point, Verdict::failed, failed->second, 0});
    } else if (is_asked(point) && (all_at_risk_ || at_risk_.contains(point))) {
      auto risk = at_risk_.find(point);
      report_.results.push_back({point, Verdict::could_not_verify,
                                 risk != at_risk_.end() ? risk->second : report_.unread.front(),
                                 0});
    } else if (is_asked(point)) {
      report_.results.push_back({point, Verdict::verified, "", sets_[point]});
    }
  }

  const Vault& vault_;
  const VerifyOptions& options_;
  const Cancel& cancel_;
  std::set<std::string> read_again_;  // known to be damaged, by an earlier verify or by this one
  VerifyReport report_;
  DamageList damages_;
  ByteCount to_read_;
  std::vector<ListedPoint> points_;
  std::set<std::string> of_points_;   // names of snapshots
  std::set<std::string> not_walked_;  // points: what cannot be read tells what they need
  std::shared_ptr<PackIndex> index_;
  std::unique_ptr<Chunks> chunks_;                     // reads the lists
  std::map<std::string, std::uint32_t> pack_numbers_;  // by name
  std::vector<bool> needed_packs_;
  std::vector<bool> packs_of_point_;            // the one that is walked through
  std::map<std::string, std::uint64_t> sets_;   // PointResult::set
  std::vector<bool> needed_chunks_;             // by PackIndex::number()
  std::vector<std::string> lost_footers_;       // names of packs
  std::vector<std::string> unread_packs_;       // likewise
  std::map<std::string, std::string> at_risk_;  // points that need what was not read, and what
  std::set<std::string> unread_;                // what was told of them
  bool all_at_risk_ = false;                    // what was not read may be needed by any
  unsigned away_ = 0;                           // how often the store did not answer
  std::set<std::uint32_t> lost_packs_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> bad_chunks_;  // pack, offset
  std::map<Digest, bool> readable_;                               // of bad chunks
  std::vector<FoundObject> logbook_objects_;
  std::vector<DamagedObject> stray_objects_;
  std::optional<Logbook> logbook_;
  std::map<LogName, Position> asked_logs_;                   // of the one point, from where on
  std::vector<std::pair<std::string, Extent>> bad_extents_;  // of which object
  std::set<std::string> lost_books_;                         // without a footer
};

}  // namespace

VerifyReport verify(const Vault& vault, const VerifyOptions& options, const Cancel& cancel) {
  return Verifier(vault, options, cancel).run();
}

}  // namespace lifeboat::vault
