#include "vault/logbook.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "vault/logbook_index.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kMostBytes = 1ull << 30;  // of one read_bytes()
constexpr int kLooks = 5;                         // for an object that is gone
constexpr Position kFirst = kFirstPosition;
constexpr Position kEnd = kLastPosition;

// A stretch of a log's history, and under which name it lies in the vault.
struct Stretch {
  LogName log;
  Position from;
  Position to;
};

// Of several stretches' coverage, in order.
class CoverageSum {
 public:
  void add(const Coverage& coverage, const Stretch& stretch) {
    std::vector<std::pair<Range, const Hole*>> pieces;
    for (const auto& range : coverage.ranges) pieces.push_back({range, nullptr});
    for (const auto& hole : coverage.holes) pieces.push_back({hole.range, &hole});
    std::sort(pieces.begin(), pieces.end(),
              [](const auto& a, const auto& b) { return a.first.from < b.first.from; });
    for (const auto& [range, hole] : pieces) {
      const Range clipped{std::max(range.from, stretch.from), std::min(range.to, stretch.to)};
      if (clipped.from < clipped.to) add(clipped, hole);
    }
  }
  Coverage take() { return std::move(sum_); }

 private:
  void add(Range range, const Hole* hole) {
    if (end_ && *end_ < range.from) sum_.holes.push_back({{*end_, range.from}, false, {}, false});
    end_ = range.to;
    if (hole != nullptr) {
      sum_.holes.push_back({range, hole->recorded, hole->why, hole->pruned});
    } else if (!sum_.ranges.empty() && sum_.ranges.back().to == range.from) {
      sum_.ranges.back().to = range.to;
    } else {
      sum_.ranges.push_back(range);
    }
  }

  Coverage sum_;
  std::optional<Position> end_;
};

}  // namespace

struct Logbook::Impl {
  Vault vault;
  std::mutex mutex;  // of the index; not held while extents are read
  LogbookIndex index;
  struct History {
    std::vector<Turn> turns;
    std::string cut_attributes;
  };
  std::map<LogName, History> histories;

  explicit Impl(Vault v) : vault(v), index(v) {}

  struct Copy {
    std::string object;
    Salt salt;
    StoredExtent stored;
  };
  // What there is at a position: copies of an extent there, the farthest reaching first, or where
  // the next one begins.
  struct Place {
    std::vector<Copy> copies;
    std::optional<Position> next;
    Position to = kEnd;  // the copies serve up to here
  };

  // Under the lock, as all that takes stretches. Together they go from the first position to the
  // last.
  std::vector<Stretch> stretches(const LogName& name) const {
    std::vector<Stretch> out{{name, kFirst, kEnd}};
    const auto history = histories.find(name);
    if (history == histories.end()) return out;
    for (const auto& turn : history->second.turns) {
      out.back().to = turn.from;
      out.push_back({turn.log, turn.from, kEnd});
    }
    return out;
  }

  Place look(const LogName& name, Position at) {
    std::lock_guard lock(mutex);
    Place out;
    for (const auto& stretch : stretches(name)) {
      if (stretch.to <= at) continue;
      const LogIndex* log = index.find_pieces(stretch.log);
      if (log == nullptr) continue;
      if (stretch.from <= at) {
        for (const Piece* piece : log->holding(at)) {
          out.copies.push_back(
              {index.object_name(piece->object), index.object_salt(piece->object), piece->stored});
          out.copies.back().stored.extent.log = stretch.log;
        }
      }
      out.to = stretch.to;
      out.next = stretch.from <= at ? log->first_after(at) : first_in(*log, stretch);
      if (out.next && *out.next >= stretch.to) out.next.reset();
      if (!out.copies.empty() || out.next) return out;
    }
    return out;
  }

  // The first position of a stretch that lies behind.
  static std::optional<Position> first_in(const LogIndex& log, const Stretch& stretch) {
    if (log.holds(stretch.from)) return stretch.from;
    return log.first_after(stretch.from);
  }

  std::string read_copy(const Copy& copy) const {
    auto bytes = vault.store().get_range(copy.object, copy.stored.offset, copy.stored.stored);
    if (!bytes) {
      throw Error(Code::not_found, "logbook " + copy.object, "is missing from the vault",
                  "run lifeboat verify: it names the ranges that are lost");
    }
    return while_doing("reading log " + copy.stored.extent.log.value, [&] {
      return open_extent(vault.sealing(), copy.object, copy.salt, copy.stored, std::move(*bytes));
    });
  }

  // Of the copies the first that can be read. nullptr: none can, see `damage`.
  const Copy* read_best(const Place& place, std::string& bytes,
                        std::optional<Error>& damage) const {
    for (const auto& copy : place.copies) {
      try {
        bytes = read_copy(copy);
        return &copy;
      } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::not_found) throw;
        if (!damage || damage->code() == Code::corrupt) damage = error;
      }
    }
    return nullptr;
  }

  OwnedExtent open(const LogName& name, Place place, Position at, Position to) {
    std::string bytes;
    std::optional<Error> damage;
    const Copy* copy = read_best(place, bytes, damage);
    for (int left = kLooks; copy == nullptr && damage->code() == Code::not_found && left > 0;
         --left) {
      // Perhaps it was merged into another object since we looked.
      refresh();
      place = look(name, at);
      if (place.copies.empty()) break;
      damage.reset();
      copy = read_best(place, bytes, damage);
    }
    if (copy == nullptr) throw *damage;
    const Extent& extent = copy->stored.extent;
    return {std::make_shared<const std::string>(std::move(bytes)), at,
            std::min({extent.next, place.to, to}), extent};
  }

  std::optional<OwnedExtent> read_one(const LogName& name, Position at, Position to, Holes holes) {
    while (at < to) {
      Place place = look(name, at);
      if (!place.copies.empty()) return open(name, std::move(place), at, to);
      Position next = std::min(place.next.value_or(to), to);
      if (holes == Holes::refuse) throw_missing(name, {at, next});
      at = next;
    }
    return std::nullopt;
  }

  std::size_t refresh() {
    std::lock_guard lock(mutex);
    return index.refresh();
  }

  Coverage coverage(const LogName& name) const {
    CoverageSum sum;
    for (const auto& stretch : stretches(name)) {
      if (const LogIndex* log = index.find(stretch.log)) sum.add(log->coverage(), stretch);
    }
    return sum.take();
  }

  // Bytes and objects count the logs of all stretches as a whole.
  std::optional<LogSummary> summary(const LogName& name) const {
    std::optional<LogSummary> sum;
    for (const auto& stretch : stretches(name)) {
      const LogIndex* log = index.find(stretch.log);
      if (log == nullptr) continue;
      const auto one = log->summary(name);
      if (!sum) {
        sum = one;
        sum->first = std::max(one.first, stretch.from);
        continue;
      }
      sum->first = std::min(sum->first, stretch.from);
      sum->bytes = sum->bytes + one.bytes.value;
      sum->objects += one.objects;
      sum->min_time = std::min(sum->min_time, one.min_time);
      sum->max_time = std::max(sum->max_time, one.max_time);
      sum->next = one.next;
      sum->pruned = sum->pruned || one.pruned;
    }
    if (!sum) return sum;
    sum->gaps = static_cast<std::uint64_t>(
        std::ranges::count_if(coverage(name).holes, [](const Hole& hole) { return !hole.pruned; }));
    return sum;
  }

  [[noreturn]] void throw_missing(const LogName& name, Range range) {
    std::lock_guard lock(mutex);
    std::string what = fmt::format("[{}, {}) is missing from the logbook", range.from, range.to);
    for (const auto& stretch : stretches(name)) {
      const LogIndex* log = index.find(stretch.log);
      for (const auto& gap : log == nullptr ? std::vector<Gap>() : log->gaps) {
        if (gap.from >= std::min(range.to, stretch.to) ||
            gap.to <= std::max(range.from, stretch.from)) {
          continue;
        }
        what += fmt::format("; [{}, {}) could not be had: {}", gap.from, gap.to, gap.why);
      }
    }
    if (const auto* left = index.pruned().left_of(name); left && !meets(*left, range)) {
      what += fmt::format("; it was pruned: the log is kept from {} on", left->back().from);
    }
    for (const auto& object : index.damaged()) {
      if (object.costs_nothing()) continue;
      what += "; " + object.object + " cannot be read and may have held it";
    }
    throw Error(Code::not_found, name.value, what,
                "choose a target before the missing range, or a later point");
  }
};

Logbook::Logbook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Logbook::Logbook(Logbook&&) noexcept = default;
Logbook& Logbook::operator=(Logbook&&) noexcept = default;
Logbook::~Logbook() = default;

Logbook Logbook::load(Vault vault) {
  Logbook out(std::make_unique<Impl>(vault));
  out.refresh();
  return out;
}

std::size_t Logbook::refresh() {
  return impl_->refresh();
}

std::vector<DamagedObject> Logbook::damaged() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->index.damaged();
}

std::optional<DamagedObject> Logbook::lost() const {
  for (auto& one : damaged()) {
    if (!one.costs_nothing()) return one;
  }
  return std::nullopt;
}

void Logbook::follow(const LogName& log, std::vector<Turn> turns, std::string cut_attributes) {
  std::lock_guard lock(impl_->mutex);
  impl_->histories[log] = {std::move(turns), std::move(cut_attributes)};
}

std::vector<LogSummary> Logbook::logs() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<LogSummary> out;
  for (const auto& [name, log] : impl_->index.logs()) {
    if (!impl_->histories.contains(name)) out.push_back(log.summary(name));
  }
  // One of which only branches are left is there too.
  for (const auto& [name, _] : impl_->histories) {
    if (auto sum = impl_->summary(name)) out.push_back(std::move(*sum));
  }
  std::ranges::sort(out, {}, &LogSummary::log);
  return out;
}

std::optional<Position> Logbook::next(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const auto stretches = impl_->stretches(name);
  for (auto stretch = stretches.rbegin(); stretch != stretches.rend(); ++stretch) {
    if (const LogIndex* log = impl_->index.find(stretch->log))
      return std::min(log->next(), stretch->to);
  }
  if (const auto* left = impl_->index.pruned().left_of(name)) return left->back().from;
  return std::nullopt;
}

std::optional<std::string> Logbook::last_attributes(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const LogIndex* log = impl_->index.find(impl_->stretches(name).back().log);
  if (log == nullptr || (log->pieces.empty() && log->unread.empty())) return std::nullopt;
  return log->last_attributes;
}

Coverage Logbook::coverage(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->coverage(name);
}

std::vector<Extent> Logbook::extents(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Extent> out;
  for (const auto& stretch : impl_->stretches(name)) {
    const LogIndex* log = impl_->index.find_pieces(stretch.log);
    if (log == nullptr) continue;
    for (const auto& piece : log->pieces) {
      const Extent& extent = piece.stored.extent;
      if (extent.next <= stretch.from || extent.base >= stretch.to) continue;
      out.push_back(extent);
      out.back().log = name;
      if (stretch.from <= extent.base && extent.next <= stretch.to) continue;
      out.back().base = std::max(extent.base, stretch.from);
      out.back().next = std::min(extent.next, stretch.to);
      out.back().attributes_json = impl_->histories.at(name).cut_attributes;
    }
  }
  return out;
}

std::set<std::string> Logbook::objects(const LogName& log, Position from, Position to) const {
  std::set<std::string> out;
  for (auto at = from; at < to;) {
    const auto place = impl_->look(log, at);
    if (place.copies.empty() && !place.next) break;
    for (const auto& copy : place.copies) out.insert(copy.object);
    at = place.copies.empty() ? *place.next
                              : std::min(place.copies.front().stored.extent.next, place.to);
  }
  return out;
}

std::vector<Gap> Logbook::gaps(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Gap> out;
  for (const auto& stretch : impl_->stretches(name)) {
    const LogIndex* log = impl_->index.find(stretch.log);
    for (auto gap : log == nullptr ? std::vector<Gap>() : log->gaps) {
      gap.from = std::max(gap.from, stretch.from);
      gap.to = std::min(gap.to, stretch.to);
      if (gap.from < gap.to) out.push_back(std::move(gap));
    }
  }
  return out;
}

Ranges Logbook::left(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const auto* left = impl_->index.pruned().left_of(name);
  return left == nullptr ? Ranges{{kFirst, kEnd}} : *left;
}

std::vector<std::string> Logbook::objects_of(const LogName& name, Position from) const {
  std::lock_guard lock(impl_->mutex);
  std::set<std::uint32_t> objects;
  const LogIndex* log = impl_->index.find_pieces(name);
  for (const auto& piece : log == nullptr ? std::vector<Piece>() : log->pieces) {
    if (piece.stored.extent.next > from) objects.insert(piece.object);
  }
  std::vector<std::string> out;
  for (auto object : objects) out.push_back(impl_->index.object_name(object));
  return out;
}

std::vector<Extent> Logbook::extents_in(const LogName& name, const std::string& object) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Extent> out;
  const LogIndex* log = impl_->index.find_pieces(name);
  for (const auto& piece : log == nullptr ? std::vector<Piece>() : log->pieces) {
    if (impl_->index.object_name(piece.object) != object) continue;
    out.push_back(piece.stored.extent);
    out.back().log = name;
  }
  return out;
}

bool Logbook::held_elsewhere(const Extent& extent, const std::set<std::string>& but) const {
  std::lock_guard lock(impl_->mutex);
  Position held = extent.base;
  const LogIndex* log = impl_->index.find_pieces(extent.log);
  for (const auto& piece : log == nullptr ? std::vector<Piece>() : log->pieces) {
    const Extent& other = piece.stored.extent;
    if (other.base > held) break;  // sorted by base
    if (other.next <= held || but.contains(impl_->index.object_name(piece.object))) continue;
    held = other.next;
  }
  return held >= extent.next;
}

void Logbook::read(const LogName& log, Position from, Position to,
                   const std::function<void(const ExtentView&)>& visit, Holes holes) const {
  while (auto read = impl_->read_one(log, from, to, holes)) {
    const Extent& extent = read->extent;
    visit({extent.base, extent.next, *read->bytes, read->wanted_from, read->wanted_to, extent});
    from = read->wanted_to;
  }
}

std::optional<OwnedExtent> Logbook::read_one(const LogName& log, Position from, Position to,
                                             Holes holes) const {
  return impl_->read_one(log, from, to, holes);
}

std::string Logbook::read_bytes(const LogName& log, Position from, Position to) const {
  if (to < from || static_cast<std::uint64_t>(to - from) > kMostBytes) {
    throw Error(Code::failed, log.value,
                fmt::format("[{}, {}) is not a range to read at once", from, to));
  }
  std::string out;
  out.reserve(static_cast<std::size_t>(to - from));
  read(log, from, to, [&](const ExtentView& view) {
    if (static_cast<std::uint64_t>(view.next - view.base) != view.bytes.size()) {
      throw Error(Code::failed, log.value, "is not a log whose positions are bytes");
    }
    out += view.bytes.substr(static_cast<std::size_t>(view.wanted_from - view.base),
                             static_cast<std::size_t>(view.wanted_to - view.wanted_from));
  });
  return out;
}

}  // namespace lifeboat::vault
