#include "vault/logbook_index.hpp"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kTail = 64 * 1024;
constexpr std::size_t kReaders = 8;
constexpr std::uint64_t kMostMissing = 1000;  // named one by one

Error gone(const std::string& name) {
  return Error(Code::not_found, "logbook " + name, "is missing from the vault",
               "run lifeboat verify: it names the ranges that are lost");
}

struct ReadFooter {
  std::optional<Footer> footer;
  std::optional<Error> damage;
};

// Several at a time. Damage is a result; a store that fails, or a newer format, is thrown.
std::vector<ReadFooter> read_footers(const Vault& vault,
                                     const std::vector<store::ObjectInfo>& objects) {
  std::vector<ReadFooter> out(objects.size());
  std::vector<std::exception_ptr> errors(kReaders);
  std::atomic<std::size_t> next{0};
  auto work = [&](std::exception_ptr& failure) {
    try {
      for (std::size_t i = next++; i < objects.size(); i = next++) {
        try {
          out[i].footer = read_footer(vault, objects[i]);
        } catch (const Error& error) {
          if (error.code() != Code::corrupt && error.code() != Code::not_found) throw;
          out[i].damage = error;
        }
      }
    } catch (...) {
      failure = std::current_exception();
      next = objects.size();
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(kReaders, objects.size()); ++i) {
    threads.emplace_back(work, std::ref(errors[i]));
  }
  work(errors[0]);
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return out;
}

}  // namespace

Footer read_footer(const Vault& vault, const store::ObjectInfo& object) {
  const std::string& name = object.name;
  std::uint64_t size = object.size.value;
  std::uint64_t tail_size = std::min(size, kTail);
  auto tail = vault.store().get_range(name, ByteCount(size - tail_size), ByteCount(tail_size));
  if (!tail) throw gone(name);
  if (tail_size == size) return open_logbook_object(name, *tail);
  Trailer trailer = parse_trailer(name, *tail);
  std::uint64_t from_end = trailer.footer_size + kTrailerSize;
  if (from_end + kHeaderSize > size) {
    throw_corrupt(ObjectType::logbook, name, "its footer is longer than the object");
  }
  if (from_end > tail_size) {
    tail = vault.store().get_range(name, ByteCount(size - from_end), ByteCount(from_end));
    if (!tail) throw gone(name);
    if (tail->size() != from_end) {
      throw_corrupt(ObjectType::logbook, name, "became shorter while it was read");
    }
  }
  std::string_view footer(*tail);
  footer = footer.substr(footer.size() - from_end, trailer.footer_size);
  return parse_footer(name, footer, trailer, object.size);
}

void LogIndex::sort() {
  sorted = true;
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return a.stored.extent.base < b.stored.extent.base;
  });
  std::stable_sort(gaps.begin(), gaps.end(),
                   [](const Gap& a, const Gap& b) { return a.from < b.from; });
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    pieces[i].reach = pieces[i].stored.extent.next;
    if (i > 0) pieces[i].reach = std::max(pieces[i].reach, pieces[i - 1].reach);
  }
}

Position LogIndex::first() const {
  if (pieces.empty()) return gaps.front().from;
  Position base = pieces.front().stored.extent.base;
  return gaps.empty() ? base : std::min(base, gaps.front().from);
}

Position LogIndex::next() const {
  std::optional<Position> out;
  if (!pieces.empty()) out = pieces.back().reach;
  for (const auto& gap : gaps) out = std::max(out.value_or(gap.to), gap.to);
  return *out;
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
  for (const auto& piece : pieces) {
    const Extent& extent = piece.stored.extent;
    if (!out.ranges.empty() && extent.base <= out.ranges.back().to) {
      out.ranges.back().to = std::max(out.ranges.back().to, extent.next);
    } else {
      out.ranges.push_back({extent.base, extent.next});
    }
  }
  if (pieces.empty() && gaps.empty()) return out;
  Position at = first();
  for (const auto& range : out.ranges) {
    if (at < range.from) out.holes.push_back(hole({at, range.from}));
    at = range.to;
  }
  if (at < next()) out.holes.push_back(hole({at, next()}));
  return out;
}

// The hole with what was recorded of it.
Hole LogIndex::hole(Range range) const {
  Hole out{range, false, ""};
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

std::size_t LogbookIndex::refresh() {
  damaged_.clear();
  auto objects = list_new();
  auto footers = read_footers(vault_, objects);
  std::size_t count = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (footers[i].damage) {
      damaged_.push_back({objects[i].name, *footers[i].damage});
    } else {
      add(objects[i].name, std::move(*footers[i].footer));
      ++count;
    }
  }
  for (auto& [name, log] : logs_) {
    if (!log.sorted) log.sort();
  }
  return count;
}

std::vector<store::ObjectInfo> LogbookIndex::list_new() {
  std::vector<store::ObjectInfo> found;
  std::optional<LogbookObjectName> before;
  vault_.store().list("logbook/", [&](const store::ObjectInfo& info) {
    auto name = parse_logbook_name(info.name);
    if (!name) {
      damaged_.push_back({info.name, Error(Code::corrupt, "logbook " + info.name,
                                           "is not a name that an object of the logbook has",
                                           "move it out of the vault")});
      return;
    }
    // A writer numbers its objects from 0 without a break. One that the list jumps over was
    // written while it was read, or is lost.
    bool same = before && before->incarnation == name->incarnation;
    std::uint64_t expected = same ? before->sequence + 1 : 0;
    for (auto missing = expected; missing < std::min(name->sequence, expected + kMostMissing);
         ++missing) {
      std::string lost = logbook_name({name->incarnation, missing});
      if (known_.count(lost) != 0) continue;
      if (auto there = vault_.store().stat(lost)) {
        found.push_back(*there);
      } else {
        damaged_.push_back({lost, gone(lost)});
      }
    }
    before = name;
    if (known_.count(info.name) == 0) found.push_back(info);
  });
  return found;
}

void LogbookIndex::add(const std::string& name, Footer footer) {
  auto object = static_cast<std::uint32_t>(objects_.size());
  objects_.push_back(name);
  known_.insert(name);
  for (auto& extent : footer.extents) {
    LogIndex& log = logs_[extent.extent.log];
    extent.extent.log.value = std::string();
    log.pieces.push_back({std::move(extent), object, {}});
    log.sorted = false;
  }
  for (auto& gap : footer.gaps) {
    LogIndex& log = logs_[gap.log];
    log.gaps.push_back(std::move(gap));
    log.sorted = false;
  }
}

}  // namespace lifeboat::vault
