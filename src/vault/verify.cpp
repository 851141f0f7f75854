#include "vault/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "vault/keys.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_index.hpp"
#include "vault/object.hpp"
#include "vault/pack_check.hpp"
#include "vault/points.hpp"
#include "vault/prune_word.hpp"
#include "vault/pruned_logs.hpp"
#include "vault/snapshot_format.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMaxHits = 100;  // of one damage
constexpr unsigned kPacksAtOnce = 2;   // of 64 MiB each

bool is_damage(Code code) {
  return code == Code::corrupt || code == Code::not_found || code == Code::unsupported ||
         code == Code::failed;
}

Error lacks_chunks(const std::string& name) {
  return Error(Code::not_found, "snapshot " + name,
               "lacks chunks: no pack has them, a pack is missing or its footer is damaged",
               "run lifeboat backup: what still exists at its source is written again; put a "
               "missing pack back from a replica of the vault");
}

Error stray(const std::string& name, const std::string& what) {
  return Error(Code::corrupt, name, "is not a name that " + what + " has",
               "move it out of the vault");
}

class Verifier {
 public:
  Verifier(const Vault& vault, const VerifyOptions& options, const Cancel& cancel)
      : vault_(vault), options_(options), cancel_(cancel) {}

  VerifyReport all() {
    check_root();
    check_words();
    check_pruned();
    auto points = check_points();  // first: what a point names was durable before it was there
    check_packs();
    std::set<std::string> of_points;  // names
    for (const auto& listed : points) {
      if (!listed.point) continue;
      auto damages = report_.damages.size();
      check_point(*listed.point, of_points);
      forget_if_dropped(listed.id, damages);
    }
    check_other_snapshots(of_points);
    check_logbook_objects();
    name_points_of_bad_extents();
    return finish();
  }

  VerifyReport one(const std::string& id) {
    check_root();
    std::optional<RecoveryPoint> point;
    object(point_name(id), "point", "point " + id, [&] { point = read_point(vault_, id); });
    load_index();
    ++report_.points;
    std::set<std::string> seen;
    if (point) check_point(*point, seen);
    return finish();
  }

 private:
  bool full() const { return options_.level == VerifyLevel::full; }

  // Runs one check; what it throws of damage becomes a damage of the object.
  template <typename Check>
  bool object(const std::string& name, const std::string& kind, const std::string& hit,
              Check&& check) {
    cancel_.check();
    ++report_.objects;
    progress(kind);
    try {
      check();
      return true;
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;
      damage(name, kind, error, hit);
      return false;
    }
  }

  void progress(const std::string& doing) {
    if (options_.progress) options_.progress({report_.objects, report_.bytes, doing});
  }

  void damage(const std::string& name, const std::string& kind, const Error& error,
              const std::string& hit) {
    auto it = by_object_.find(name);
    if (it == by_object_.end()) {
      if (report_.damages.size() >= kMaxDamages) {
        ++report_.more_damages;
        return;
      }
      it = by_object_.emplace(name, report_.damages.size()).first;
      report_.damages.push_back({name, kind, error.code(), error.message(), error.hint(), {}});
    }
    hit_again(it->second, hit);
  }

  void hit_again(std::size_t damage_index, const std::string& hit) {
    auto& hits = report_.damages[damage_index].hits;
    if (!hit.empty() && hits.size() < kMaxHits) hits.push_back(hit);
  }

  void check_root() {
    object("vault", "root", "", [&] {
      if (Vault::read_root(vault_.store()) != vault_.root()) {
        throw_corrupt(ObjectType::root, "vault", "is not the one any more that was opened");
      }
    });
    check_keys();
  }

  // Of a plain vault too: a key that is there says something.
  void check_keys() {
    std::string prefix(kKeyPrefix);
    bool any = false;
    bool used = vault_.opened_by().empty();
    for (const auto& key : list_keys(vault_.store(), vault_.id())) {
      any = any || key.key;
      used = used || key.id == vault_.opened_by();
      object(prefix + key.id, "key", "", [&] {
        if (key.problem && !key.foreign) throw *key.problem;
      });
    }
    if (!used) {
      auto name = prefix + vault_.opened_by();
      damage(name, "key",
             Error(Code::not_found, name, "is missing: it opened the vault just now",
                   "add it again: lifeboat key add, with the recovery sheet"),
             "");
    } else if (vault_.encrypted() && !any) {
      damage(prefix, "key",
             Error(Code::not_found, prefix,
                   "there is no key any more that can be "
                   "read: only the recovery sheet opens this vault",
                   "lifeboat key import"),
             "");
    }
  }

  void load_index() {
    index_ = PackIndex::load(vault_, {}, cancel_);
    for (const auto& bad : index_.damaged()) damage(bad.name, "pack", bad.error, "");
    good_.assign(index_.chunks(), false);
  }

  // Every pack there is, whoever needs it. At level `exists` its footer is read.
  void check_packs() {
    load_index();
    std::vector<std::string> names;
    auto listed = list_packs(
        vault_, [&](const auto& name) { damage(name, "pack", stray(name, "a pack"), ""); });
    for (const auto& pack : listed) names.push_back(pack.name);
    if (!full()) {
      report_.objects += names.size();
      return progress("pack");
    }
    std::map<std::string, std::uint32_t> numbers;
    for (const auto& pack : index_.packs()) {
      numbers.emplace(pack.name, static_cast<std::uint32_t>(numbers.size()));
    }
    vault::check_packs(vault_, names, kPacksAtOnce, cancel_, [&](const PackCheck& pack) {
      ++report_.objects;
      report_.bytes = report_.bytes + pack.bytes.value;
      progress("pack");
      if (!pack.error || pack.error->code() == Code::not_found) return;  // pruned meanwhile
      damage(pack.name, "pack", *pack.error, "");
      auto number = numbers.find(pack.name);
      if (number == numbers.end()) return;
      for (const auto& [offset, error] : pack.chunks) bad_places_.insert({number->second, offset});
    });
    all_read_ = true;
  }

  // A chunk that something refers to.
  void need_chunk(const ChunkRef& ref, const std::string& snapshot, const std::string& hit) {
    auto places = index_.places(ref.digest);
    if (places.empty()) return damage(snapshot, "chunk", lacks_chunks(snapshot), hit);
    if (!full()) return;
    if (!all_read_) {
      read_chunk(ref, places, hit);
      return;
    }
    for (const auto& place : places) {
      if (!bad_places_.contains({place.pack, place.offset})) return;
    }
    const auto& name = index_.packs()[places.front().pack].name;
    if (auto it = by_object_.find(name); it != by_object_.end()) hit_again(it->second, hit);
  }

  void read_chunk(const ChunkRef& ref, const std::vector<PackPlace>& places,
                  const std::string& hit) {
    auto number = index_.number(ref.digest).value();
    if (good_[number]) return;
    const auto& name = index_.packs()[places.front().pack].name;
    object(name, "pack", hit, [&] {
      report_.bytes = report_.bytes + chunks_.get(ref).size();
      good_[number] = true;
    });
  }

  // Those of backups that are under way, and of points that were dropped: what they name may be on
  // its way in, or out. Only they themselves are looked at.
  void check_other_snapshots(const std::set<std::string>& of_points) {
    vault_.store().list("snapshots/", [&](const store::ObjectInfo& info) {
      auto hex = info.name.substr(info.name.rfind('/') + 1);
      if (!SnapshotId::parse(hex) || info.name != "snapshots/" + hex) {
        damage(info.name, "snapshot", stray(info.name, "a snapshot"), "");
      } else if (of_points.count(info.name) == 0) {
        object(info.name, "snapshot", "", [&] { read_root_if_there(info.name); });
      }
    });
  }

  void read_root_if_there(const std::string& name) {
    try {
      SnapshotReader root(chunks_, name);
    } catch (const Error& error) {
      if (error.code() != Code::not_found) throw;
    }
  }

  // One that cannot be read blocks pruning: all that it could name is kept.
  void check_words() {
    for (const auto& listed : list_words(vault_)) {
      object(word_name(listed.id), "word", "", [&] {
        auto bytes = listed.word ? std::nullopt : vault_.store().get(word_name(listed.id));
        if (!bytes) return;
        unseal(vault_.sealing(), ObjectType::word, word_name(listed.id), *bytes);
        throw_corrupt(ObjectType::word, word_name(listed.id), listed.problem);
      });
    }
  }

  void check_pruned() {
    const auto found = read_pruned(vault_);
    for (const auto& name : found.objects) {
      object(name, "pruned", "", [&] {
        for (const auto& bad : found.damaged) {
          if (bad.object == name) throw bad.error;
        }
      });
    }
  }

  std::vector<ListedPoint> check_points() {
    auto points = list_points(vault_);
    report_.points = points.size();
    for (const auto& listed : points) {
      object(point_name(listed.id), "point", "point " + listed.id, [&] {
        if (!listed.point) read_point(vault_, listed.id);
      });
    }
    return points;
  }

  void check_point(const RecoveryPoint& point, std::set<std::string>& seen) {
    for (const auto& id : snapshots_of(point)) {
      auto name = snapshot_name(vault_, id);
      seen.insert(name);
      check_snapshot(name, "point " + point.id + " snapshot " + id.hex());
    }
    for (const auto& start : logs_of(point)) {
      check_log(point, start);
      starts_.push_back({point.id, start});
    }
  }

  // A point that was dropped since this began may lack what it needed. `before`: so many damages
  // there were when its check began.
  void forget_if_dropped(const std::string& id, std::size_t before) {
    auto& damages = report_.damages;
    if (damages.size() == before || vault_.store().stat(point_name(id))) return;
    damages.erase(
        std::remove_if(damages.begin() + static_cast<std::ptrdiff_t>(before), damages.end(),
                       [](const Damage& one) { return one.code == Code::not_found; }),
        damages.end());
    by_object_.clear();
    for (std::size_t i = 0; i < damages.size(); ++i) by_object_.emplace(damages[i].object, i);
  }

  void check_snapshot(const std::string& name, const std::string& hit) {
    object(name, "snapshot", hit, [&] {
      SnapshotReader reader(chunks_, name);
      for (const auto& page : reader.pages()) need_chunk(page, name, hit + " list of entries");
      read_entries(reader, name, hit);
    });
  }

  // What is wrong with a page was named already, as its pack's damage or its snapshot's.
  void read_entries(const SnapshotReader& reader, const std::string& name, const std::string& hit) {
    try {
      reader.for_each([&](const Entry& entry) {
        for (const auto& chunk : entry.chunks) {
          cancel_.check();
          need_chunk(chunk, name, hit + " file " + entry.path);
        }
      });
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;
      auto at = error.subject().find(kPackPrefix);
      if (at != std::string::npos) {
        // At level `exists` a page is read here for the first time.
        damage(error.subject().substr(at), "pack", error, hit + " list of entries");
      } else if (by_object_.count(name) == 0) {
        throw;
      }
    }
  }

  Logbook& logbook() {
    if (!logbook_) {
      logbook_ = Logbook::load(vault_);
      for (const auto& bad : logbook_->damaged()) {
        if (bad.object.starts_with(kPrunedPrefix)) continue;  // named by check_pruned()
        damage(bad.object, "logbook", bad.error, "");
      }
    }
    return *logbook_;
  }

  // What the point needs of the log: without holes from its position on.
  void check_log(const RecoveryPoint& point, const LogStart& start) {
    std::optional<Position> held;
    bool readable = object(start.log.value, "range", "point " + point.id,
                           [&] { held = logbook().next(start.log); });
    if (!readable) return;
    const Position until = start.until.value_or(start.position);
    const Position to = std::max(until, held.value_or(until));
    // What makes it consistent, and of what follows all that was not pruned.
    auto needed = intersect({{start.position, kLastPosition}}, logbook().left(start.log));
    if (start.position < until) needed.push_back({start.position, until});
    needed = intersect(unite(std::move(needed)), {{start.position, to}});
    for (const auto& range : subtract(needed, logbook().coverage(start.log).ranges)) {
      missing(point, start.log, range.from, range.to);
    }
    if (full() && options_.point && held && start.position < *held) {
      read_log(point, start.log, start.position, *held);
    }
  }

  void missing(const RecoveryPoint& point, const LogName& log, Position from, Position to) {
    if (from >= to) return;
    std::string range = log.value + fmt::format(" [{}, {})", from, to);
    damage(range, "range",
           Error(Code::not_found, range, "is missing from the logbook",
                 "recover to before it, or take a new point (lifeboat backup)"),
           "point " + point.id);
  }

  void read_log(const RecoveryPoint& point, const LogName& log, Position from, Position to) {
    auto bad = [&](const Error& error) {
      if (!is_damage(error.code())) throw error;
      auto at = error.subject().find("logbook/");
      damage(at == std::string::npos ? log.value : error.subject().substr(at),
             at == std::string::npos ? "range" : "logbook", error,
             "point " + point.id + " log " + log.value);
    };
    for (const auto& range : logbook().coverage(log).ranges) {
      Position begin = std::max(range.from, from), end = std::min(range.to, to);
      if (begin >= end) continue;
      cancel_.check();
      try {
        logbook().read(log, begin, end, [&](const ExtentView& view) {
          cancel_.check();
          report_.bytes = report_.bytes + view.bytes.size();
          progress("logbook");
        });
      } catch (const Error& error) {
        bad(error);
      }
    }
  }

  // Nobody loses anything with a summary; who reads is told, and reads the footers.
  void check_summaries() {
    vault_.store().list(std::string(kSummaryPrefix), [&](const store::ObjectInfo& info) {
      object(info.name, "summary", "", [&] {
        auto bytes = vault_.store().get(info.name);
        if (!bytes) return;  // superseded meanwhile
        report_.bytes = report_.bytes + bytes->size();
        auto summary = open_summary(vault_.sealing(), info.name, *bytes);
        for (const auto& log : summary.logs) {
          open_summarized(vault_.sealing(), info.name, summary, log,
                          bytes->substr(log.offset.value, log.stored.value));
        }
      });
    });
  }

  void check_logbook_objects() {
    check_summaries();
    try {
      logbook();
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;  // a newer format: named below
    }
    vault_.store().list("logbook/", [&](const store::ObjectInfo& info) {
      if (!parse_logbook_name(info.name)) return;  // named by logbook()
      object(info.name, "logbook", "", [&] {
        if (!full()) {
          read_footer_if_there(info);
          return;
        }
        auto bytes = vault_.store().get(info.name);
        if (!bytes) return;  // removed meanwhile; if it is missed, logbook() named it
        report_.bytes = report_.bytes + bytes->size();
        check_logbook_object(vault_.sealing(), info.name, *bytes);
      });
      if (by_object_.count(info.name) != 0) name_ranges(info);
    });
  }

  // It may be merged and removed meanwhile; if it is missed, logbook() named it.
  void read_footer_if_there(const store::ObjectInfo& info) {
    try {
      read_footer(vault_, info.name, info.size);
    } catch (const Error& error) {
      if (error.code() != Code::not_found) throw;
    }
  }

  // Which ranges a damaged object held, where its footer can still be read.
  void name_ranges(const store::ObjectInfo& info) {
    try {
      auto bytes = vault_.store().get(info.name);
      if (!bytes) return;
      Footer read = find_footer(vault_.sealing(), info.name, *bytes);
      for (const auto& extent : read.extents) name_if_bad(info.name, read, extent, *bytes);
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;  // the footer is what is damaged
    }
  }

  void name_if_bad(const std::string& name, const Footer& footer, const StoredExtent& extent,
                   std::string_view object) {
    try {
      open_extent(vault_.sealing(), name, footer.salt, extent,
                  std::string(object.substr(extent.offset.value, extent.stored.value)));
    } catch (const Error& error) {
      damage(name, "logbook", error, "log " + describe(extent.extent));
      bad_extents_.push_back({name, extent.extent});
    }
  }

  // A point is hit when it may have to replay the extent, another writer's copy or not.
  void name_points_of_bad_extents() {
    for (const auto& [name, bad] : bad_extents_) {
      for (const auto& [point, start] : starts_) {
        if (start.log != bad.log || bad.next <= start.position) continue;
        if (auto it = by_object_.find(name); it != by_object_.end()) {
          hit_again(it->second, "point " + point);
        }
      }
    }
  }

  VerifyReport finish() {
    progress("done");
    return std::move(report_);
  }

  const Vault& vault_;
  const VerifyOptions& options_;
  const Cancel& cancel_;
  VerifyReport report_;
  std::map<std::string, std::size_t> by_object_;             // index in report_.damages
  std::vector<std::pair<std::string, LogStart>> starts_;     // of which point
  std::vector<std::pair<std::string, Extent>> bad_extents_;  // of which object
  PackIndex index_;
  std::vector<bool> good_;  // chunks that were read, by PackIndex::number()
  bool all_read_ = false;   // all packs were; bad_places_ says what is damaged in them
  std::set<std::pair<std::uint32_t, std::uint32_t>> bad_places_;  // pack, offset
  Chunks chunks_{vault_};
  std::optional<Logbook> logbook_;
};

}  // namespace

VerifyReport verify(const Vault& vault, const VerifyOptions& options, const Cancel& cancel) {
  Verifier verifier(vault, options, cancel);
  return options.point ? verifier.one(*options.point) : verifier.all();
}

}  // namespace lifeboat::vault
