#include "vault/logbook.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "vault/logbook_index.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kMostBytes = 1ull << 30;  // of one read_bytes()

}  // namespace

struct Logbook::Impl {
  Vault vault;
  LogbookIndex index;

  explicit Impl(Vault v) : vault(v), index(v) {}

  const LogIndex* find(const LogName& log) const { return index.find(log); }

  std::string read_piece(const LogName& log, const Piece& piece) const {
    const std::string& name = index.object_name(piece.object);
    auto bytes = vault.store().get_range(name, piece.stored.offset, piece.stored.stored);
    if (!bytes) {
      throw Error(Code::not_found, "logbook " + name, "is missing from the vault",
                  "run lifeboat verify: it names the ranges that are lost");
    }
    return while_doing("reading log " + log.value,
                       [&] { return open_extent(name, piece.stored, *bytes); });
  }

  // Of the pieces that hold `at`, the farthest reaching that can be read.
  void visit_best(const LogName& name, const LogIndex& log, Position& at, Position to,
                  const std::function<void(const ExtentView&)>& visit) const {
    std::optional<Error> first_damage;
    for (const Piece* piece : log.holding(at)) {
      std::string bytes;
      try {
        bytes = read_piece(name, *piece);
      } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::not_found) throw;
        if (!first_damage) first_damage = error;
        continue;
      }
      Extent extent = piece->stored.extent;
      extent.log = name;
      Position until = std::min(extent.next, to);
      visit({extent.base, extent.next, bytes, at, until, extent});
      at = until;
      return;
    }
    throw *first_damage;
  }

  void read(const LogName& name, Position from, Position to,
            const std::function<void(const ExtentView&)>& visit, Holes holes) const {
    const LogIndex* log = find(name);
    for (Position at = from; at < to;) {
      if (log != nullptr && log->holds(at)) {
        visit_best(name, *log, at, to, visit);
        continue;
      }
      Position next = log == nullptr ? to : std::min(log->first_after(at).value_or(to), to);
      if (holes == Holes::refuse) throw_missing(name, log, {at, next});
      at = next;
    }
  }

  [[noreturn]] void throw_missing(const LogName& name, const LogIndex* log, Range range) const {
    std::string what = fmt::format("[{}, {}) is missing from the logbook", range.from, range.to);
    for (const auto& gap : log == nullptr ? std::vector<Gap>() : log->gaps) {
      if (gap.from < range.to && range.from < gap.to) {
        what += fmt::format("; [{}, {}) could not be had: {}", gap.from, gap.to, gap.why);
      }
    }
    for (const auto& object : index.damaged()) {
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
  return impl_->index.refresh();
}

const std::vector<DamagedObject>& Logbook::damaged() const {
  return impl_->index.damaged();
}

std::vector<LogSummary> Logbook::logs() const {
  std::vector<LogSummary> out;
  for (const auto& [name, log] : impl_->index.logs()) {
    LogSummary summary;
    summary.log = name;
    summary.gaps = log.coverage().holes.size();
    std::set<std::uint32_t> objects;
    for (const auto& piece : log.pieces) {
      const Extent& extent = piece.stored.extent;
      if (objects.empty() || extent.min_time < summary.min_time) summary.min_time = extent.min_time;
      if (objects.empty() || extent.max_time > summary.max_time) summary.max_time = extent.max_time;
      summary.bytes = summary.bytes + piece.stored.raw.value;
      objects.insert(piece.object);
    }
    summary.objects = objects.size();
    summary.first = log.first();
    summary.next = log.next();
    out.push_back(std::move(summary));
  }
  return out;
}

std::optional<Position> Logbook::next(const LogName& name) const {
  const LogIndex* log = impl_->find(name);
  if (log == nullptr) return std::nullopt;
  return log->next();
}

Coverage Logbook::coverage(const LogName& name) const {
  const LogIndex* log = impl_->find(name);
  return log == nullptr ? Coverage() : log->coverage();
}

std::vector<Extent> Logbook::extents(const LogName& name) const {
  std::vector<Extent> out;
  if (const LogIndex* log = impl_->find(name)) {
    for (const auto& piece : log->pieces) {
      out.push_back(piece.stored.extent);
      out.back().log = name;
    }
  }
  return out;
}

std::vector<Gap> Logbook::gaps(const LogName& name) const {
  const LogIndex* log = impl_->find(name);
  return log == nullptr ? std::vector<Gap>() : log->gaps;
}

void Logbook::read(const LogName& log, Position from, Position to,
                   const std::function<void(const ExtentView&)>& visit, Holes holes) const {
  impl_->read(log, from, to, visit, holes);
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
