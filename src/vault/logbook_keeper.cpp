#include "vault/logbook_keeper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/error.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kFootersAtOnce = 256;
constexpr std::size_t kSmallSummaries = 16;  // so many are put together

bool by_name(const FoundObject& a, const FoundObject& b) {
  return std::tie(a.name.incarnation, a.name.sequence) <
         std::tie(b.name.incarnation, b.name.sequence);
}

// Extents of one log, as they lie in the objects to be merged.
struct Source {
  StoredExtent stored;
  std::size_t object;
};

// Those that another one holds as a whole are left out: it is read instead.
std::vector<Source> without_copies(std::vector<Source> sources) {
  std::stable_sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    const auto &x = a.stored.extent, &y = b.stored.extent;
    return std::tie(x.base, y.next) < std::tie(y.base, x.next);
  });
  std::vector<Source> out;
  for (auto& one : sources) {
    if (!out.empty() && one.stored.extent.next <= out.back().stored.extent.next) continue;
    out.push_back(std::move(one));
  }
  return out;
}

std::string read_extent(const Vault& vault, const std::string& name, const Salt& salt,
                        const StoredExtent& stored) {
  auto bytes = vault.store().get_range(name, stored.offset, stored.stored);
  if (!bytes) throw Error(Code::not_found, "logbook " + name, "is missing from the vault");
  return open_extent(vault.sealing(), name, salt, stored, std::move(*bytes));
}

// Puts extents that follow each other together.
class Coalescer {
 public:
  Coalescer(LogbookObject& object, const KeeperOptions& options, const LogPolicy& policy)
      : object_(object), options_(options), policy_(policy) {}

  void add(Extent extent, std::string bytes) {
    if (!pieces_.empty() && !follows(extent, bytes.size())) end();
    if (pieces_.empty()) {
      extent_ = std::move(extent);
    } else {
      extent_.next = extent.next;
      extent_.min_time = std::min(extent_.min_time, extent.min_time);
      extent_.max_time = std::max(extent_.max_time, extent.max_time);
    }
    size_ += bytes.size();
    pieces_.push_back(piece_of(std::move(bytes)));
  }

  void end() {
    if (pieces_.empty()) return;
    object_.add(extent_, std::move(pieces_));
    pieces_.clear();
    size_ = 0;
  }

 private:
  // Takes the attributes over when it does.
  bool follows(const Extent& extent, std::size_t size) {
    if (extent.base != extent_.next || size_ + size > options_.max_extent.value) return false;
    auto merged = merge_attributes(policy_, extent_, extent);
    if (!merged) return false;
    extent_.attributes_json = std::move(*merged);
    return true;
  }

  LogbookObject& object_;
  const KeeperOptions& options_;
  const LogPolicy& policy_;
  Extent extent_;
  std::vector<ExtentBytes> pieces_;
  std::size_t size_ = 0;
};

}  // namespace

LogbookKeeper::LogbookKeeper(Vault vault, KeeperOptions options, LogPolicy policy, Clock& clock,
                             Random& random)
    : vault_(vault),
      options_(options),
      policy_(std::move(policy)),
      clock_(clock),
      incarnation_(compact_time(clock.now()) + "-" + random.hex(8)) {}

std::size_t LogbookKeeper::catch_up(const Cancel& cancel) {
  ObjectSet covered;
  vault_.store().list(std::string(kSummaryPrefix), [&](const store::ObjectInfo& info) {
    auto bytes = vault_.store().get(info.name);
    try {
      if (bytes) covered.add(open_summary(vault_.sealing(), info.name, *bytes).covered());
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
      // Whoever reads the logbook tells of it; its objects are summarised again.
    }
  });
  std::vector<DamagedObject> strange;  // as above
  auto objects = list_logbook(vault_, strange);
  std::erase_if(objects, [&](const FoundObject& object) {
    return covered.has(object.name.incarnation, object.name.sequence);
  });
  if (objects.size() < 2 * options_.summarize_objects) return 0;
  std::sort(objects.begin(), objects.end(), by_name);
  auto before = next_summary_;
  SummaryBuilder builder;
  for (std::size_t at = 0; at < objects.size(); at += kFootersAtOnce) {
    cancel.check();
    std::vector<FoundObject> some(objects.begin() + static_cast<std::ptrdiff_t>(at),
                                  objects.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                        objects.size(), at + kFootersAtOnce)));
    auto footers = read_footers(vault_, some);
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (footers[i].footer) builder.add(some[i].name, some[i].size, *footers[i].footer);
    }
    if (builder.weight() >= options_.summary_weight) write_summary(builder);
  }
  if (builder.objects() > 0) write_summary(builder);
  return next_summary_ - before;
}

Kept LogbookKeeper::keep(const std::set<std::string>& own, const Cancel& cancel) {
  Kept kept;
  auto pruned = read_pruned(vault_);
  if (pruned.objects != pruned_.objects) without_pruned_.clear();
  pruned_ = std::move(pruned);
  auto found = survey(vault_);
  auto ours = own;
  ours.insert(incarnation_);
  auto rewrites =
      plan_rewrites(pruned_objects(found), mergeable(found), ours, clock_.now(), options_.merge);
  if (merge_runs(rewrites, kept.rewritten, kept, cancel)) found = survey(vault_);
  auto merges = plan_merges(mergeable(found), ours, clock_.now(), options_.merge);
  if (merge_runs(merges, kept.merged, kept, cancel)) found = survey(vault_);
  summarize(found, kept, cancel);
  remove_what_was_replaced(found, kept, cancel);
  return kept;
}

std::vector<ObjectEntry> LogbookKeeper::mergeable(const Survey& found) {
  std::vector<ObjectEntry> objects;
  for (const auto& one : found.summaries) {
    newest_summary_ = std::max(newest_summary_, one.summary.created);
    for (std::size_t i = 0; i < one.summary.objects.size(); ++i) {
      if (one.only.empty() || one.only[i]) objects.push_back(one.summary.objects[i]);
    }
  }
  for (const auto& one : found.footers) objects.push_back(one.object);
  std::erase_if(objects, [&](const ObjectEntry& object) {
    return damaged_.has(object.name.incarnation, object.name.sequence);
  });
  return objects;
}

// The objects that hold something that was pruned. A summary in which there was none before is not
// looked into again.
std::vector<PrunedObject> LogbookKeeper::pruned_objects(const Survey& found) {
  const auto& pruned = pruned_.logs;
  if (pruned.empty()) return {};
  std::map<std::pair<std::string, std::uint64_t>, PrunedObject> out;
  auto wanted = [&](const LogName& log, const Ranges& ranges) {
    const auto* left = pruned.left_of(log);
    return left != nullptr && !subtract(ranges, *left).empty();
  };
  auto visit = [&](const ObjectEntry& object, const LogName& log, const StoredExtent& stored) {
    const auto& [incarnation, sequence] = object.name;
    if (pruned.needs(log, stored.extent.base, stored.extent.next) ||
        damaged_.has(incarnation, sequence)) {
      return;
    }
    auto& one = out.try_emplace({incarnation, sequence}, PrunedObject{object, {}, 0}).first->second;
    one.bytes = one.bytes + stored.stored.value;
    ++one.extents;
  };
  for (const auto& one : found.summaries) {
    if (without_pruned_.contains(one.name)) continue;
    const auto before = out.size();
    for_each_extent(vault_, one, wanted, visit);
    if (out.size() == before) without_pruned_.insert(one.name);
  }
  for_each_extent(found.footers, wanted, visit);
  std::vector<PrunedObject> objects;
  for (auto& [_, one] : out) objects.push_back(std::move(one));
  return objects;
}

// Counts the objects that became part of others. True: something was written.
bool LogbookKeeper::merge_runs(const std::vector<std::vector<ObjectEntry>>& runs,
                               std::size_t& count, Kept& kept, const Cancel& cancel) {
  bool written = false;
  for (const auto& run : runs) {
    cancel.check();
    try {
      if (!merge(run, kept, cancel)) continue;
    } catch (const Error& error) {
      // What was replaced before can be removed all the same.
      if (error.code() != Code::no_space) throw;
      kept.problems.push_back(std::string("not merged: ") + error.what());
      break;
    }
    count += run.size();
    written = true;
  }
  return written;
}

void LogbookKeeper::remove_what_was_replaced(const Survey& found, Kept& kept,
                                             const Cancel& cancel) {
  try {
    remove_replaced(found, kept, cancel);
  } catch (const Error& error) {
    if (error.code() != Code::denied) throw;
    kept.may_not_remove = true;
  }
}

// False when an object of the run is damaged or was merged by somebody else meanwhile: nothing was
// written then.
bool LogbookKeeper::merge(const std::vector<ObjectEntry>& run, Kept& kept, const Cancel& cancel) {
  std::vector<FoundObject> objects;
  for (const auto& one : run) objects.push_back({one.name, one.size});
  auto footers = read_footers(vault_, objects);
  std::map<LogName, std::vector<Source>> logs;
  std::vector<Gap> gaps;
  ReplacedObjects replaced;
  std::size_t at = 0;
  auto name_of = [&](std::size_t i) { return logbook_name(run[i].name); };
  LogbookObject object(logbook_name({incarnation_, next_object_}), options_.zstd_level,
                       vault_.sealing());
  try {
    for (; at < run.size(); ++at) {
      if (footers[at].damage) throw *footers[at].damage;
      auto& footer = *footers[at].footer;
      for (auto& stored : footer.extents) {
        const auto& extent = stored.extent;
        if (!pruned_.logs.needs(extent.log, extent.base, extent.next)) continue;
        auto& sources = logs[stored.extent.log];
        sources.push_back({std::move(stored), at});
      }
      for (auto& gap : footer.gaps) {
        if (pruned_.logs.needs(gap.log, gap.from, gap.to)) gaps.push_back(std::move(gap));
      }
      replaced.add(footer.replaced);
      replaced.add(run[at].name.incarnation, run[at].name.sequence);
    }
    footers.clear();
    for (auto& [log, sources] : logs) {
      Coalescer together(object, options_, policy_);
      for (auto& one : without_copies(std::exchange(sources, {}))) {
        cancel.check();
        at = one.object;
        auto bytes = read_extent(vault_, name_of(at), run[at].salt, one.stored);
        one.stored.extent.log = log;
        together.add(std::move(one.stored.extent), std::move(bytes));
      }
      together.end();
    }
  } catch (const Error& error) {
    if (error.code() == Code::not_found) return false;
    if (error.code() != Code::corrupt) throw;
    damaged_.add(run[at].name.incarnation, run[at].name.sequence);
    kept.problems.push_back(std::string("not merged: ") + error.what());
    return false;
  }
  auto parts = object.finish(clock_.now(), std::move(gaps), std::move(replaced));
  auto name = logbook_name({incarnation_, next_object_});
  ++next_object_;  // also when it fails: perhaps it was written
  if (vault_.store().put_parts_if_absent(name, parts) != store::PutResult::written) {
    throw Error(Code::conflict, "logbook " + name, "was written by somebody else");
  }
  return true;
}

void LogbookKeeper::write_summary(SummaryBuilder& builder) {
  newest_summary_ = std::max(clock_.now(), newest_summary_ + 1);  // newer than what it supersedes
  auto name = summary_name(incarnation_, next_summary_++);
  auto object = builder.finish(vault_.sealing(), name, newest_summary_);
  if (vault_.store().put_if_absent(name, object) != store::PutResult::written) {
    throw Error(Code::conflict, "summary " + name, "was written by somebody else");
  }
  builder = SummaryBuilder();
}

// Objects that no summary tells of, those of which one tells together with others that were
// replaced, and those of small summaries when there are many.
void LogbookKeeper::summarize(const Survey& found, Kept& kept, const Cancel& cancel) {
  auto weight_of = [](const UsedSummary& one) {
    std::size_t n = 0;
    for (const auto& object : one.summary.objects) n += object.extents;
    return n;
  };
  auto small = [&](const UsedSummary& one) { return weight_of(one) < options_.summary_weight / 2; };
  auto smalls = static_cast<std::size_t>(
      std::count_if(found.summaries.begin(), found.summaries.end(), small));
  std::size_t weight = 0;
  std::vector<FoundObject> objects;
  std::map<std::pair<std::string, std::uint64_t>, const Footer*> footers;
  for (const auto& one : found.footers) {
    weight += one.object.extents;
    objects.push_back({one.object.name, one.object.size});
    footers[{one.object.name.incarnation, one.object.name.sequence}] = &one.footer;
  }
  bool due = objects.size() >= options_.summarize_objects || weight >= options_.summary_weight ||
             smalls >= kSmallSummaries;
  for (const auto& one : found.summaries) {
    due = due || !one.only.empty();
    if (one.only.empty() && !(smalls >= kSmallSummaries && small(one))) continue;
    for (std::size_t i = 0; i < one.summary.objects.size(); ++i) {
      const auto& object = one.summary.objects[i];
      if (one.only.empty() || one.only[i]) objects.push_back({object.name, object.size});
    }
  }
  if (!due || objects.empty()) return;
  std::sort(objects.begin(), objects.end(), by_name);
  SummaryBuilder builder;
  auto before = next_summary_;
  for (const auto& object : objects) {
    cancel.check();
    auto known = footers.find({object.name.incarnation, object.name.sequence});
    if (known != footers.end()) {
      builder.add(object.name, object.size, *known->second);
    } else {
      auto read = read_footers(vault_, {object}).front();
      // Damaged or gone since: left to the next survey, which names it when it is missed.
      if (!read.footer) continue;
      builder.add(object.name, object.size, *read.footer);
    }
    if (builder.weight() >= options_.summary_weight) write_summary(builder);
  }
  if (builder.objects() > 0) write_summary(builder);
  kept.summaries += next_summary_ - before;
}

void LogbookKeeper::remove_replaced(const Survey& found, Kept& kept, const Cancel& cancel) {
  Timestamp now = clock_.now();
  auto remove_for = [&](const ObjectEntry& object) {
    if (object.replaces.empty() || !found.present.meets(object.replaces) ||
        now - object.created < options_.remove_after.count() || !whole(object, kept, cancel)) {
      return;
    }
    for (const auto& [incarnation, numbers] : object.replaces.sets()) {
      for (const auto& [first, end] : numbers.ranges()) {
        for (auto n = first; n < end; ++n) {
          if (!found.present.has(incarnation, n)) continue;
          cancel.check();
          if (vault_.store().remove(logbook_name({incarnation, n}))) ++kept.removed;
        }
      }
    }
  };
  for (const auto& one : found.summaries) {
    for (std::size_t i = 0; i < one.summary.objects.size(); ++i) {
      if (one.only.empty() || one.only[i]) remove_for(one.summary.objects[i]);
    }
  }
  for (const auto& one : found.footers) remove_for(one.object);
  if (now - newest_summary_ < options_.remove_after.count()) return;
  for (const auto& name : found.superseded) vault_.store().remove(name);
}

// Reads all of it: what it replaces is removed only when it is there to the last byte.
bool LogbookKeeper::whole(const ObjectEntry& object, Kept& kept, const Cancel& cancel) {
  if (whole_.has(object.name.incarnation, object.name.sequence)) return true;
  auto name = logbook_name(object.name);
  try {
    auto footer = read_footer(vault_, name, object.size);
    if (footer.replaced != object.replaces) {
      throw Error(Code::corrupt, "logbook " + name, "does not replace what a summary says");
    }
    for (const auto& stored : footer.extents) {
      cancel.check();
      read_extent(vault_, name, footer.salt, stored);
    }
  } catch (const Error& error) {
    if (error.code() == Code::not_found) return false;  // merged itself; the next survey knows
    if (error.code() != Code::corrupt) throw;
    kept.problems.push_back(
        fmt::format("what {} replaces is kept: {}; move that object out of the vault, and the old "
                    "ones are used again",
                    name, error.what()));
    return false;
  }
  whole_.add(object.name.incarnation, object.name.sequence);
  return true;
}

}  // namespace lifeboat::vault
