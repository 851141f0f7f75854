#include "vault/object_check.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/checksum.hpp"
#include "vault/container.hpp"
#include "vault/damage.hpp"
#include "vault/logbook_format.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kRoom = 96u << 20;
constexpr std::uint64_t kAtATime = 4u << 20;  // of one object
constexpr std::uint64_t kSmall = 64 * 1024;   // a footer's reader looks at all of such an object

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
  std::function<void(char*)> check;  // throws what is wrong
  std::function<void()> bad;
};

// One object.
class Reading {
 public:
  Reading(const Vault& vault, const ObjectToCheck& object, Room& room, const Cancel& cancel)
      : vault_(vault), object_(object), room_(room), cancel_(cancel) {
    out_.name = object.name;
  }

  ObjectCheck pack(const CheckedParts& wanted) {
    auto footer =
        footer_of<PackFooter>([&] { return read_pack_footer(vault_, object_.name, object_.size); },
                              [&](std::string_view object) {
                                return open_pack(vault_.sealing(), object_.name, object, true);
                              });
    if (!footer) return std::move(out_);
    auto seal = seal_of(ObjectType::pack, footer->salt);
    auto parts = header_of(ObjectType::pack);
    for (const auto& chunk : footer->chunks) {
      end_ = chunk.offset + chunk.stored;
      if (wanted.chunk && !wanted.chunk(chunk)) continue;
      parts.push_back({chunk.offset, chunk.stored, chunk.size,
                       [&](char* bytes) { check(seal ? &*seal : nullptr, chunk, bytes); },
                       [&] { out_.chunks.push_back(chunk.offset); }});
    }
    read(parts);
    return std::move(out_);
  }

  ObjectCheck logbook(const CheckedParts& wanted) {
    auto footer = footer_of<Footer>([&] { return read_footer(vault_, object_.name, object_.size); },
                                    [&](std::string_view object) {
                                      return find_footer(vault_.sealing(), object_.name, object);
                                    });
    if (!footer) return std::move(out_);
    auto parts = header_of(ObjectType::logbook);
    for (const auto& extent : footer->extents) {
      end_ = extent.offset.value + extent.stored.value;
      if (wanted.extent && !wanted.extent(extent.extent)) continue;
      parts.push_back({extent.offset.value, extent.stored.value, extent.raw.value,
                       [&](char* bytes) {
                         open_extent(vault_.sealing(), object_.name, footer->salt, extent,
                                     std::string(bytes, extent.stored.value));
                       },
                       [&] { out_.extents.push_back(extent.extent); }});
    }
    read(parts);
    return std::move(out_);
  }

 private:
  // Of a small object the header was looked at too: when that is damaged, the footer may be whole.
  template <typename Kind, typename Read, typename Find>
  std::optional<Kind> footer_of(Read&& read_it, Find&& find) {
    std::optional<Kind> footer;
    bool known = guarded([&] { footer = read_it(); });
    if (known || out_.unread) return footer;
    if (object_.size.value <= kSmall) {
      guarded([&] {
        if (auto whole = vault_.store().get(object_.name)) footer = find(*whole);
      });
    }
    out_.lost = !footer;
    return footer;
  }

  // False when `look` throws what is noted as wrong, or as not to be had.
  template <typename Look>
  bool guarded(Look&& look) {
    try {
      look();
      return true;
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      auto& note = is_damage(error.code()) ? out_.error : out_.unread;
      if (!note) note = error;
      return false;
    }
  }

  std::optional<ObjectSeal> seal_of(ObjectType type, const Salt& salt) const {
    if (vault_.sealing() == nullptr) return std::nullopt;
    return vault_.sealing()->object(type, object_.name, salt);
  }

  void check(const ObjectSeal* seal, const PackedChunk& chunk, char* bytes) const {
    if (crc32c({bytes, chunk.stored}) != chunk.crc) {
      throw_corrupt(ObjectType::pack, object_.name,
                    "its chunk " + chunk.digest.hex() + " does not match its checksum");
    }
    thread_local std::string content;  // new memory for each chunk is slow
    open_packed_chunk(seal, object_.name, chunk, {bytes, chunk.stored}, content);
  }

  std::vector<Part> header_of(ObjectType type) {
    end_ = kHeaderSize;
    return {{0, kHeaderSize, 0,
             [this, type](char* bytes) {
               check_container_header(vault_.sealing(), type, object_.name, {bytes, kHeaderSize},
                                      object_.size);
             },
             [] {}}};
  }

  void read(const std::vector<Part>& parts) {
    for (auto next = parts.begin(); next != parts.end();) {
      const auto first = next++;
      auto end = first->offset + first->stored;
      auto content = first->stored + first->content;
      while (next != parts.end() && next->offset == end &&
             next->offset + next->stored - first->offset <= kAtATime) {
        end += next->stored;
        content = std::max(content, next->stored + next->content);
        ++next;
      }
      cancel_.check();
      Room::Taken taken(room_, end - first->offset + content);
      if (!read(&*first, static_cast<std::size_t>(next - first), end - first->offset)) return;
    }
    out_.bytes = out_.bytes + (object_.size.value - std::min(object_.size.value, end_));
  }

  // Parts that lie back to back. False: there is no more to be had of this object.
  bool read(const Part* parts, std::size_t count, std::uint64_t length) {
    std::optional<std::string> bytes;
    bool had = guarded([&] {
      bytes = vault_.store().get_range(object_.name, ByteCount(parts->offset), ByteCount(length));
      if (bytes) return;
      out_.lost = true;
      throw Error(Code::not_found, object_.name, "is missing from the vault",
                  "run lifeboat backup: what still exists at its source is written again");
    });
    if (out_.lost || out_.unread) return false;
    for (const auto* part = parts; part != parts + count; ++part) {
      const auto at = part->offset - parts->offset;
      if (!had || !guarded([&] { check(*part, *bytes, at); })) part->bad();
    }
    if (bytes) out_.bytes = out_.bytes + bytes->size();
    return true;
  }

  void check(const Part& part, std::string& bytes, std::uint64_t at) {
    if (bytes.size() < at + part.stored) {
      throw Error(Code::corrupt, object_.name, "is cut off",
                  "run lifeboat backup: what still exists at its source is written again");
    }
    part.check(bytes.data() + at);
    out_.content = out_.content + part.content;
  }

  const Vault& vault_;
  const ObjectToCheck& object_;
  Room& room_;
  const Cancel& cancel_;
  std::uint64_t end_ = kHeaderSize;  // of the parts
  ObjectCheck out_;
};

}  // namespace

void check_objects(const Vault& vault, const std::vector<ObjectToCheck>& objects,
                   const CheckedParts& wanted, const Cancel& cancel,
                   const std::function<void(ObjectCheck)>& visit) {
  // More than cores: some wait for the store while others hash.
  const auto threads = std::clamp(2 * std::thread::hardware_concurrency(), 4u, 32u);
  Room room;
  std::deque<std::future<ObjectCheck>> ahead;
  WorkPool pool(threads_for(vault.store(), threads));  // last: ends before what it works on
  auto next = objects.begin();
  while (next != objects.end() || !ahead.empty()) {
    cancel.check();
    while (next != objects.end() && ahead.size() < 2 * threads) {
      ahead.push_back(pool.later<ObjectCheck>([&, object = &*next] {
        Reading reading(vault, *object, room, cancel);
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
