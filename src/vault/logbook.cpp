#include "vault/logbook.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "vault/logbook_index.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kMostBytes = 1ull << 30;  // of one read_bytes()
constexpr int kLooks = 5;                         // for an object that is gone

}  // namespace

struct Logbook::Impl {
  Vault vault;
  std::mutex mutex;  // of the index; not held while extents are read
  LogbookIndex index;

  explicit Impl(Vault v) : vault(v), index(v) {}

  struct Copy {
    std::string object;
    StoredExtent stored;
  };
  // What there is at a position: copies of an extent there, the farthest reaching first, or where
  // the next one begins.
  struct Place {
    std::vector<Copy> copies;
    std::optional<Position> next;
  };

  Place look(const LogName& name, Position at) {
    std::lock_guard lock(mutex);
    const LogIndex* log = index.find_pieces(name);
    if (log == nullptr) return {};
    Place out{{}, log->first_after(at)};
    for (const Piece* piece : log->holding(at)) {
      out.copies.push_back({index.object_name(piece->object), piece->stored});
      out.copies.back().stored.extent.log = name;
    }
    return out;
  }

  std::string read_copy(const Copy& copy) const {
    auto bytes = vault.store().get_range(copy.object, copy.stored.offset, copy.stored.stored);
    if (!bytes) {
      throw Error(Code::not_found, "logbook " + copy.object, "is missing from the vault",
                  "run lifeboat verify: it names the ranges that are lost");
    }
    return while_doing("reading log " + copy.stored.extent.log.value,
                       [&] { return open_extent(copy.object, copy.stored, std::move(*bytes)); });
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
    return {std::make_shared<const std::string>(std::move(bytes)), at, std::min(extent.next, to),
            extent};
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

  [[noreturn]] void throw_missing(const LogName& name, Range range) {
    std::lock_guard lock(mutex);
    const LogIndex* log = index.find(name);
    std::string what = fmt::format("[{}, {}) is missing from the logbook", range.from, range.to);
    for (const auto& gap : log == nullptr ? std::vector<Gap>() : log->gaps) {
      if (gap.from < range.to && range.from < gap.to) {
        what += fmt::format("; [{}, {}) could not be had: {}", gap.from, gap.to, gap.why);
      }
    }
    for (const auto& object : index.damaged()) {
      if (object.is_summary()) continue;
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
    if (!one.is_summary()) return one;
  }
  return std::nullopt;
}

std::vector<LogSummary> Logbook::logs() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<LogSummary> out;
  for (const auto& [name, log] : impl_->index.logs()) out.push_back(log.summary(name));
  return out;
}

std::optional<Position> Logbook::next(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const LogIndex* log = impl_->index.find(name);
  if (log == nullptr) return std::nullopt;
  return log->next();
}

std::optional<std::string> Logbook::last_attributes(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const LogIndex* log = impl_->index.find(name);
  if (log == nullptr || (log->pieces.empty() && log->unread.empty())) return std::nullopt;
  return log->last_attributes;
}

Coverage Logbook::coverage(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const LogIndex* log = impl_->index.find(name);
  return log == nullptr ? Coverage() : log->coverage();
}

std::vector<Extent> Logbook::extents(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Extent> out;
  if (const LogIndex* log = impl_->index.find_pieces(name)) {
    for (const auto& piece : log->pieces) {
      out.push_back(piece.stored.extent);
      out.back().log = name;
    }
  }
  return out;
}

std::vector<Gap> Logbook::gaps(const LogName& name) const {
  std::lock_guard lock(impl_->mutex);
  const LogIndex* log = impl_->index.find(name);
  return log == nullptr ? std::vector<Gap>() : log->gaps;
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
