#include "vault/object_check.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <thread>

#include "base/checksum.hpp"
#include "vault/container.hpp"
#include "vault/damage.hpp"
#include "vault/logbook_format.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kRoom = 96u << 20;
// Of one object, as one piece of work: enough content to be hashed sixteen chunks at once.
constexpr std::uint64_t kStoredAtATime = 16u << 20;
constexpr std::uint64_t kContentAtATime = 16u << 20;
constexpr std::uint64_t kSmall = 64 * 1024;  // a footer's reader looks at all of such an object

// So many bytes may be held by all readers together; one that needs more has them alone.
class Room {
 public:
  class Taken {
   public:
    Taken(Room& room, std::uint64_t bytes) : room_(room), bytes_(std::min(bytes, kRoom)) {
      std::unique_lock lock(room_.mutex_);
      room_.changed_.wait(lock, [&] { return room_.left_ >= bytes_; });
      room_.left_ -= bytes_;
    }
    ~Taken() {
      std::lock_guard lock(room_.mutex_);
      room_.left_ += bytes_;
      room_.changed_.notify_all();
    }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;

   private:
    Room& room_;
    std::uint64_t bytes_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t left_ = kRoom;
};

// A part of an object, and how it is checked where it was read.
struct Part {
  std::uint64_t offset = 0;
  std::uint64_t stored = 0;
  std::uint64_t content = 0;
  // Throws what is wrong; gives what has `chunk`'s digest, in the bytes or in the room.
  std::function<std::string_view(char* bytes, std::string& room)> check;
  const PackedChunk* chunk = nullptr;
  std::function<void()> bad = [] {};
};

struct Findings {
  ObjectCheck check;
  std::vector<const Part*> bad;

  // False when `look` throws what is noted as wrong, or as not to be had.
  template <typename Look>
  bool guarded(Look&& look) {
    try {
      look();
      return true;
    } catch (const Error& caught) {
      if (caught.code() == Code::cancelled) throw;
      auto& note = is_damage(caught.code()) ? check.error : check.unread;
      if (!note) note = caught;
      return false;
    }
  }
  bool ends() const { return check.lost || check.unread; }  // there is no more to be had
};

// Parts that lie back to back.
struct Span {
  std::span<const Part> parts;
  std::uint64_t stored = 0;
  std::uint64_t content = 0;
};

std::vector<Span> cut(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    const bool goes_on = !spans.empty() &&
                         spans.back().parts.front().offset + spans.back().stored == part.offset &&
                         spans.back().stored + part.stored <= kStoredAtATime &&
                         spans.back().content + part.content <= kContentAtATime;
    if (!goes_on) spans.push_back({{&part, 0}});
    auto& span = spans.back();
    span.parts = {span.parts.data(), span.parts.size() + 1};
    span.stored += part.stored;
    span.content += part.content;
  }
  return spans;
}

class SpanReader {
 public:
  SpanReader(const Vault& vault, const std::string& name, const Span& span)
      : vault_(vault), name_(name), span_(span), rooms_(span.parts.size()) {}

  Findings read() {
    const bool had = out_.guarded([&] { fetch(); });
    if (out_.ends()) return std::move(out_);
    out_.check.bytes = ByteCount(bytes_.size());
    if (had) check();
    for (const auto& part : span_.parts) {
      if (!had) out_.bad.push_back(&part);
    }
    return std::move(out_);
  }

 private:
  void fetch() {
    auto bytes = vault_.store().get_range(name_, ByteCount(span_.parts.front().offset),
                                          ByteCount(span_.stored));
    out_.check.lost = !bytes;
    if (!bytes) {
      throw Error(Code::not_found, name_, "is missing from the vault",
                  "run lifeboat backup: what still exists at its source is written again");
    }
    bytes_ = std::move(*bytes);
  }

  // All are unpacked before they are hashed: many at once are faster.
  void check() {
    std::vector<const Part*> unpacked;
    std::vector<std::string_view> contents;
    for (std::size_t i = 0; i < span_.parts.size(); ++i) {
      const auto& part = span_.parts[i];
      expect(part, [&] {
        const auto content = unpack(part, rooms_[i]);
        if (part.chunk == nullptr) return;
        contents.push_back(content);
        unpacked.push_back(&part);
      });
    }
    const auto digests = sha256_each(contents);
    for (std::size_t i = 0; i < unpacked.size(); ++i) {
      expect(*unpacked[i], [&] { expect_digest(name_, *unpacked[i]->chunk, digests[i]); });
    }
  }

  template <typename Look>
  void expect(const Part& part, Look&& look) {
    if (!out_.guarded(look)) out_.bad.push_back(&part);
  }

  std::string_view unpack(const Part& part, std::string& room) {
    const auto at = part.offset - span_.parts.front().offset;
    if (bytes_.size() < at + part.stored) {
      throw Error(Code::corrupt, name_, "is cut off",
                  "run lifeboat backup: what still exists at its source is written again");
    }
    out_.check.content = out_.check.content + part.content;
    return part.check(bytes_.data() + at, room);
  }

  const Vault& vault_;
  const std::string& name_;
  const Span& span_;
  std::string bytes_;
  std::vector<std::string> rooms_;
  Findings out_;
};

// What all readings share.
struct Readers {
  const Vault& vault;
  const Cancel& cancel;
  Room room;
  WorkPool pool;
};

// One object.
class Reading {
 public:
  Reading(Readers& readers, const ObjectToCheck& object)
      : readers_(readers), vault_(readers.vault), object_(object) {
    found_.check.name = object.name;
  }

  ObjectCheck pack(const CheckedParts& wanted) {
    auto footer =
        footer_of<PackFooter>([&] { return read_pack_footer(vault_, object_.name, object_.size); },
                              [&](std::string_view object) {
                                return open_pack(vault_.sealing(), object_.name, object, true);
                              });
    if (!footer) return std::move(found_.check);
    auto seal = seal_of(ObjectType::pack, footer->salt);
    auto parts = header_of(ObjectType::pack);
    for (const auto& chunk : footer->chunks) {
      end_ = chunk.offset + chunk.stored;
      if (wanted.chunk && !wanted.chunk(chunk)) continue;
      parts.push_back({chunk.offset, chunk.stored, chunk.size,
                       [&](char* bytes, std::string& room) {
                         return check(seal ? &*seal : nullptr, chunk, bytes, room);
                       },
                       &chunk, [&] { found_.check.chunks.push_back(chunk.offset); }});
    }
    read(parts);
    return std::move(found_.check);
  }

  ObjectCheck logbook(const CheckedParts& wanted) {
    auto footer = footer_of<Footer>([&] { return read_footer(vault_, object_.name, object_.size); },
                                    [&](std::string_view object) {
                                      return find_footer(vault_.sealing(), object_.name, object);
                                    });
    if (!footer) return std::move(found_.check);
    auto parts = header_of(ObjectType::logbook);
    for (const auto& extent : footer->extents) {
      end_ = extent.offset.value + extent.stored.value;
      if (wanted.extent && !wanted.extent(extent.extent)) continue;
      parts.push_back({extent.offset.value, extent.stored.value, extent.raw.value,
                       [&](char* bytes, std::string& room) -> std::string_view {
                         room = open_extent(vault_.sealing(), object_.name, footer->salt, extent,
                                            std::string(bytes, extent.stored.value));
                         return room;
                       },
                       nullptr, [&] { found_.check.extents.push_back(extent.extent); }});
    }
    read(parts);
    return std::move(found_.check);
  }

 private:
  // Of a small object the header was looked at too: when that is damaged, the footer may be whole.
  template <typename Kind, typename Read, typename Find>
  std::optional<Kind> footer_of(Read&& read_it, Find&& find) {
    std::optional<Kind> footer;
    bool known = found_.guarded([&] { footer = read_it(); });
    if (known || found_.check.unread) return footer;
    if (object_.size.value <= kSmall) {
      found_.guarded([&] {
        if (auto whole = vault_.store().get(object_.name)) footer = find(*whole);
      });
    }
    found_.check.lost = !footer;
    return footer;
  }

  std::optional<ObjectSeal> seal_of(ObjectType type, const Salt& salt) const {
    if (vault_.sealing() == nullptr) return std::nullopt;
    return vault_.sealing()->object(type, object_.name, salt);
  }

  std::string_view check(const ObjectSeal* seal, const PackedChunk& chunk, char* bytes,
                         std::string& room) const {
    if (crc32c({bytes, chunk.stored}) != chunk.crc) {
      throw_corrupt(ObjectType::pack, object_.name,
                    "its chunk " + chunk.digest.hex() + " does not match its checksum");
    }
    return unpack_chunk(seal, object_.name, chunk, {bytes, chunk.stored}, room);
  }

  std::vector<Part> header_of(ObjectType type) {
    end_ = kHeaderSize;
    return {{0, kHeaderSize, 0, [this, type](char* bytes, std::string&) -> std::string_view {
               check_container_header(vault_.sealing(), type, object_.name, {bytes, kHeaderSize},
                                      object_.size);
               return {};
             }}};
  }

  // Whoever leaves waits for what refers to the parts.
  struct Ahead {
    std::vector<std::future<Findings>> spans;
    ~Ahead() {
      for (auto& span : spans) {
        if (span.valid()) span.wait();
      }
    }
  };

  void read(const std::vector<Part>& parts) {
    const auto spans = cut(parts);
    Ahead ahead;
    for (const auto& span : spans) {
      ahead.spans.push_back(readers_.pool.later<Findings>([this, &span] { return read(span); }));
    }
    for (auto& span : ahead.spans) add(span.get());
    if (found_.ends()) return;
    auto& bytes = found_.check.bytes;
    bytes = bytes + (object_.size.value - std::min(object_.size.value, end_));
  }

  Findings read(const Span& span) {
    readers_.cancel.check();
    if (ended_) return {};
    Room::Taken taken(readers_.room, span.stored + span.content);
    auto found = SpanReader(vault_, object_.name, span).read();
    if (found.ends()) ended_ = true;
    return found;
  }

  void add(Findings span) {
    if (found_.ends()) return;
    auto& check = found_.check;
    if (!check.error) check.error = std::move(span.check.error);
    check.unread = std::move(span.check.unread);
    check.lost = span.check.lost;
    check.bytes = check.bytes + span.check.bytes.value;
    check.content = check.content + span.check.content.value;
    for (const auto* part : span.bad) part->bad();
  }

  Readers& readers_;
  const Vault& vault_;
  const ObjectToCheck& object_;
  std::uint64_t end_ = kHeaderSize;  // of the parts
  std::atomic<bool> ended_ = false;  // there is no more to be had
  Findings found_;
};

}  // namespace

void check_objects(const Vault& vault, const std::vector<ObjectToCheck>& objects,
                   const CheckedParts& wanted, const Cancel& cancel,
                   const std::function<void(ObjectCheck)>& visit) {
  // More than cores: some wait for the store while others hash.
  const auto threads =
      threads_for(vault.store(), std::clamp(2 * std::thread::hardware_concurrency(), 4u, 32u));
  Readers readers{vault, cancel, {}, WorkPool(threads)};
  std::deque<std::future<ObjectCheck>> ahead;
  WorkPool pool(threads);  // reads footers; last: ends before what it works with
  auto next = objects.begin();
  while (next != objects.end() || !ahead.empty()) {
    cancel.check();
    while (next != objects.end() && ahead.size() < std::max(2 * threads, 1u)) {
      ahead.push_back(pool.later<ObjectCheck>([&, object = &*next] {
        Reading reading(readers, *object);
        return object->name.starts_with(kPackPrefix) ? reading.pack(wanted)
                                                     : reading.logbook(wanted);
      }));
      ++next;
    }
    auto done = ahead.front().get();
    ahead.pop_front();
    visit(std::move(done));
  }
}

}  // namespace lifeboat::vault
