#include "vault/logbook_index.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace lifeboat::vault {

void LogIndex::add(StoredExtent extent, std::uint32_t object) {
  if ((pieces.empty() && unread.empty()) || extent.extent.next > last_next) {
    last_next = extent.extent.next;
    last_attributes = extent.extent.attributes_json;
  }
  extent.extent.log.value = std::string();
  pieces.push_back({std::move(extent), object, {}});
  sorted = false;
}

void LogIndex::add_unread(const SummarizedLog& log, Unread place) {
  gaps.insert(gaps.end(), log.gaps.begin(), log.gaps.end());
  sorted = false;
  if (log.extents == 0) return;
  if ((pieces.empty() && unread.empty()) || log.ranges.back().to > last_next) {
    last_next = log.ranges.back().to;
    last_attributes = log.last_attributes;
  }
  bool first = unread.empty();
  unread_min_time = first ? log.min_time : std::min(unread_min_time, log.min_time);
  unread_max_time = first ? log.max_time : std::max(unread_max_time, log.max_time);
  unread_ranges.insert(unread_ranges.end(), log.ranges.begin(), log.ranges.end());
  unread_objects += log.objects;
  unread_bytes = unread_bytes + log.bytes.value;
  unread.push_back(place);
}

void LogIndex::forget_unread() {
  unread.clear();
  unread_ranges.clear();
  unread_objects = 0;
  unread_bytes = ByteCount(0);
}

// Whole extents are left out; one that lies across an edge is there, and told up to that.
void LogIndex::leave_out_pruned() {
  if (left.empty()) return;
  std::erase_if(pieces, [&](const Piece& piece) {
    return !meets(left, {piece.stored.extent.base, piece.stored.extent.next});
  });
  std::erase_if(gaps, [&](const Gap& gap) { return !meets(left, {gap.from, gap.to}); });
  unread_ranges = intersect(unite(std::move(unread_ranges)), left);
  if (unread_ranges.empty()) forget_unread();
}

// The first position from there on that was not pruned.
Position LogIndex::visible(Position at) const {
  for (const auto& range : left) {
    if (at < range.to) return std::max(at, range.from);
  }
  return at;
}

void LogIndex::sort() {
  sorted = true;
  leave_out_pruned();
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return a.stored.extent.base < b.stored.extent.base;
  });
  std::stable_sort(gaps.begin(), gaps.end(), [](const Gap& a, const Gap& b) {
    return std::tie(a.from, a.to, a.why) < std::tie(b.from, b.to, b.why);
  });
  // Merged objects tell again what those told that they replace.
  gaps.erase(std::unique(gaps.begin(), gaps.end(),
                         [](const Gap& a, const Gap& b) {
                           return a.from == b.from && a.to == b.to && a.why == b.why;
                         }),
             gaps.end());
  unread_ranges = unite(std::move(unread_ranges));
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    pieces[i].reach = pieces[i].stored.extent.next;
    if (i > 0) pieces[i].reach = std::max(pieces[i].reach, pieces[i - 1].reach);
  }
}

Position LogIndex::first() const {
  std::optional<Position> out;
  auto take = [&](Position at) { out = std::min(out.value_or(at), at); };
  if (!pieces.empty()) take(pieces.front().stored.extent.base);
  if (!unread_ranges.empty()) take(unread_ranges.front().from);
  if (!gaps.empty()) take(gaps.front().from);
  return visible(out.value_or(Position(0)));
}

Position LogIndex::next() const {
  std::optional<Position> out;
  auto take = [&](Position at) { out = std::max(out.value_or(at), at); };
  if (!pieces.empty()) take(pieces.back().reach);
  if (!unread_ranges.empty()) take(unread_ranges.back().to);
  for (const auto& gap : gaps) take(gap.to);
  return out.value_or(Position(0));
}

std::vector<const Piece*> LogIndex::holding(Position at) const {
  auto it = std::upper_bound(pieces.begin(), pieces.end(), at, [](Position p, const Piece& piece) {
    return p < piece.stored.extent.base;
  });
  std::vector<const Piece*> out;
  while (it != pieces.begin()) {
    --it;
    if (it->reach <= at) break;  // nor does any before it reach so far
    if (it->stored.extent.next > at) out.push_back(&*it);
  }
  std::stable_sort(out.begin(), out.end(), [](const Piece* a, const Piece* b) {
    return a->stored.extent.next > b->stored.extent.next;
  });
  return out;
}

std::optional<Position> LogIndex::first_after(Position at) const {
  auto it = std::upper_bound(pieces.begin(), pieces.end(), at, [](Position p, const Piece& piece) {
    return p < piece.stored.extent.base;
  });
  if (it == pieces.end()) return std::nullopt;
  return it->stored.extent.base;
}

Coverage LogIndex::coverage() const {
  Coverage out;
  std::vector<Range> ranges = unread_ranges;
  for (const auto& piece : pieces) {
    const Extent& extent = piece.stored.extent;
    if (!ranges.empty() && ranges.back().from <= extent.base && extent.base <= ranges.back().to) {
      ranges.back().to = std::max(ranges.back().to, extent.next);
    } else {
      ranges.push_back({extent.base, extent.next});
    }
  }
  out.ranges = unite(std::move(ranges));
  if (!left.empty()) out.ranges = intersect(out.ranges, left);
  if (out.ranges.empty() && gaps.empty()) return out;
  for (const auto& range : subtract({{first(), next()}}, out.ranges)) {
    const auto pruned = left.empty() ? Ranges() : subtract({range}, left);
    for (const auto& part : pruned) out.holes.push_back({part, false, kWhyPruned, true});
    for (const auto& part : subtract({range}, pruned)) out.holes.push_back(hole(part));
  }
  std::sort(out.holes.begin(), out.holes.end(),
            [](const Hole& a, const Hole& b) { return a.range.from < b.range.from; });
  return out;
}

LogSummary LogIndex::summary(const LogName& name) const {
  LogSummary out;
  out.log = name;
  out.first = first();
  out.next = next();
  const auto holes = coverage().holes;
  out.gaps = static_cast<std::uint64_t>(
      std::count_if(holes.begin(), holes.end(), [](const Hole& hole) { return !hole.pruned; }));
  out.pruned = !left.empty();
  out.bytes = unread_bytes;
  out.min_time = unread_min_time;
  out.max_time = unread_max_time;
  bool any = !unread.empty();
  std::vector<std::uint32_t> objects;
  for (const auto& piece : pieces) {
    const Extent& extent = piece.stored.extent;
    out.min_time = any ? std::min(out.min_time, extent.min_time) : extent.min_time;
    out.max_time = any ? std::max(out.max_time, extent.max_time) : extent.max_time;
    any = true;
    out.bytes = out.bytes + piece.stored.raw.value;
    objects.push_back(piece.object);
  }
  std::sort(objects.begin(), objects.end());
  objects.erase(std::unique(objects.begin(), objects.end()), objects.end());
  out.objects = unread_objects + objects.size();
  return out;
}

// The hole with what was recorded of it.
Hole LogIndex::hole(Range range) const {
  Hole out{range, false, "", false};
  for (const auto& gap : gaps) {
    if (gap.to <= range.from || range.to <= gap.from) continue;
    out.recorded = true;
    if (out.why.find(gap.why) == std::string::npos) {
      out.why += (out.why.empty() ? "" : "; ") + gap.why;
    }
  }
  return out;
}

const LogIndex* LogbookIndex::find(const LogName& log) const {
  auto it = logs_.find(log);
  return it == logs_.end() ? nullptr : &it->second;
}

const LogIndex* LogbookIndex::find_pieces(const LogName& name) {
  for (;;) {
    auto it = logs_.find(name);
    if (it == logs_.end()) return nullptr;
    LogIndex& log = it->second;
    if (log.unread.empty()) return &log;
    auto unread = log.unread;
    log.forget_unread();
    bool all = std::all_of(unread.begin(), unread.end(),
                           [&](const auto& place) { return read_extents(place, log); });
    if (!all) {
      rebuild();  // a summary is gone or damaged: others, or the footers, know
      continue;
    }
    log.sort();
    return &log;
  }
}

// False when the summary can't be used any more.
bool LogbookIndex::read_extents(LogIndex::Unread place, LogIndex& log) {
  const Told& told = summaries_[place.summary];
  const SummarizedLog& part = told.summary.logs[place.log];
  auto bytes = vault_.store().get_range(told.name, part.offset, part.stored);
  if (!bytes) return false;  // superseded meanwhile
  try {
    for (auto& one :
         open_summarized(vault_.sealing(), told.name, told.summary, part, std::move(*bytes))) {
      if (!told.only.empty() && !told.only[one.object]) continue;
      log.add(std::move(one.stored), told.first_object + one.object);
    }
    return true;
  } catch (const Error& error) {
    if (error.code() != Code::corrupt) throw;
    unusable_.insert(told.name);
    unusable_damage_.push_back({told.name, error});
    return false;
  }
}

std::size_t LogbookIndex::refresh() {
  std::size_t before = known_.count();
  std::vector<DamagedObject> strange;
  ObjectSet present;
  std::vector<FoundObject> fresh;
  for (auto& object : list_logbook(vault_, strange)) {
    const auto& [incarnation, sequence] = object.name;
    present.add(incarnation, sequence);
    if (known_.has(incarnation, sequence) || replaced_.has(incarnation, sequence)) continue;
    fresh.push_back(std::move(object));
  }
  // Numbers that are jumped over, objects that are gone: then all is looked at anew.
  bool plain = before > 0 && damaged_.empty() && strange.empty() && present.has_all(known_);
  std::vector<FooterOrDamage> footers;
  if (plain) {
    ObjectSet all = known_;
    all.add(replaced_);
    for (const auto& object : fresh) all.add(object.name.incarnation, object.name.sequence);
    for (const auto& [_, numbers] : all.sets()) {
      plain = plain && numbers.ranges().size() == 1 && numbers.ranges().begin()->first == 0;
    }
  }
  if (plain) {
    footers = read_footers(vault_, fresh);
    plain = std::all_of(footers.begin(), footers.end(),
                        [](const auto& one) { return one.footer && one.footer->replaced.empty(); });
  }
  if (!plain) {
    auto known = std::move(known_);
    rebuild();
    std::size_t count = 0;
    for (const auto& [name, _] : objects_) {
      count += known.has(name.incarnation, name.sequence) ? 0 : 1;
    }
    return count;
  }
  for (std::size_t i = 0; i < fresh.size(); ++i) add(fresh[i].name, std::move(*footers[i].footer));
  sort();
  return fresh.size();
}

void LogbookIndex::rebuild() {
  while (!try_rebuild()) {
  }
}

// False when a summary turned out not to be usable.
bool LogbookIndex::try_rebuild() {
  auto found = survey(vault_, unusable_);
  // Afterwards: what was left out of the objects that were found is told by what is found now.
  auto pruned = read_pruned(vault_);
  pruned_ = std::move(pruned.logs);
  logs_.clear();
  objects_.clear();
  summaries_.clear();
  known_ = {};
  replaced_ = std::move(found.replaced);
  damaged_ = std::move(found.damaged);
  damaged_.insert(damaged_.end(), unusable_damage_.begin(), unusable_damage_.end());
  damaged_.insert(damaged_.end(), pruned.damaged.begin(), pruned.damaged.end());
  for (auto& summary : found.summaries) {
    if (!take(std::move(summary))) return false;
  }
  for (auto& one : found.footers) add(one.object.name, std::move(one.footer));
  sort();
  return true;
}

bool LogbookIndex::take(UsedSummary used) {
  std::size_t number = summaries_.size();
  summaries_.push_back({std::move(used.name), std::move(used.summary), std::move(used.only),
                        static_cast<std::uint32_t>(objects_.size())});
  const Told& told = summaries_.back();
  for (const auto& object : told.summary.objects) {
    objects_.push_back({object.name, object.salt});
    if (told.only.empty() || told.only[objects_.size() - 1 - told.first_object]) {
      known_.add(object.name.incarnation, object.name.sequence);
    }
  }
  if (!told.only.empty()) return read_all(number);
  for (std::size_t i = 0; i < told.summary.logs.size(); ++i) {
    const auto& log = told.summary.logs[i];
    logs_[log.log].add_unread(log, {number, i});
  }
  return true;
}

// One that speaks for some of its objects only: its sums are not of use.
bool LogbookIndex::read_all(std::size_t number) {
  for (std::size_t i = 0; i < summaries_[number].summary.logs.size(); ++i) {
    const auto& part = summaries_[number].summary.logs[i];
    LogIndex& log = logs_[part.log];
    log.gaps.insert(log.gaps.end(), part.gaps.begin(), part.gaps.end());
    if (!read_extents({number, i}, log)) return false;
  }
  return true;
}

void LogbookIndex::add(const LogbookObjectName& name, Footer footer) {
  auto object = static_cast<std::uint32_t>(objects_.size());
  objects_.push_back({name, footer.salt});
  known_.add(name.incarnation, name.sequence);
  for (auto& extent : footer.extents) {
    LogIndex& log = logs_[extent.extent.log];
    log.add(std::move(extent), object);
  }
  for (auto& gap : footer.gaps) {
    LogIndex& log = logs_[gap.log];
    log.gaps.push_back(std::move(gap));
    log.sorted = false;
  }
}

void LogbookIndex::sort() {
  for (auto it = logs_.begin(); it != logs_.end();) {
    LogIndex& log = it->second;
    if (const auto* left = pruned_.left_of(it->first)) log.left = *left;
    if (!log.sorted) log.sort();
    it = log.empty() ? logs_.erase(it) : std::next(it);
  }
}

}  // namespace lifeboat::vault
