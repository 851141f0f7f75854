#include "vault/logbook_writer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "vault/logbook_format.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

constexpr Millis kCancelPoll{100};
constexpr std::size_t kExtentCost = 256;  // of keeping an extent, beside its bytes
constexpr std::size_t kHold = 64 * 1024;  // pieces from here on are held, smaller ones copied

struct PendingExtent {
  Extent extent;
  std::vector<ExtentBytes> pieces;
  std::uint64_t size = 0;
  std::shared_ptr<std::string> room;  // in which the last piece lies, when it may grow

  void add(ExtentBytes&& piece, std::shared_ptr<std::string>&& fresh_room) {
    auto bytes = piece.bytes;
    size += bytes.size();
    if (bytes.empty()) return;
    if (fresh_room && room && room->capacity() - room->size() >= bytes.size()) {
      *room += bytes;
      pieces.back() = {*room, room};
      return;
    }
    room = std::move(fresh_room);
    pieces.push_back(std::move(piece));
  }
};

// With room for what follows when it is small: a buffer for each append would cost more than the
// bytes.
std::shared_ptr<std::string> copy_with_room(std::string_view bytes) {
  constexpr std::size_t kRoom = 16 * 1024;
  auto copy = std::make_shared<std::string>();
  if (bytes.size() < kRoom) copy->reserve(std::min(kRoom, 4 * bytes.size()));
  *copy += bytes;
  return copy;
}

// What one object will hold.
struct Batch {
  std::vector<PendingExtent> extents;
  std::vector<Gap> gaps;
  std::map<LogName, std::size_t> last;  // index in `extents` of each log's last one
  std::set<const void*> buffers;        // of others, held
  std::uint64_t bytes = 0;              // that the object will take, about
  std::uint64_t memory = 0;             // and that it takes until then
  std::uint64_t tickets = 0;            // once it is durable, so many appends and gaps are
  bool empty() const { return extents.empty() && gaps.empty(); }
};

bool same_bytes(const std::optional<std::string>& found,
                const std::vector<std::string_view>& parts) {
  if (!found) return false;
  std::string_view rest = *found;
  for (auto part : parts) {
    if (!rest.starts_with(part)) return false;
    rest.remove_prefix(part.size());
  }
  return rest.empty();
}

// Errors that the next try, or somebody who frees the disk, may cure.
bool worth_trying_again(Code code) {
  return code != Code::corrupt && code != Code::unsupported && code != Code::conflict &&
         code != Code::cancelled;
}

}  // namespace

struct LogbookWriter::Impl {
  Vault vault;
  LogbookOptions options;
  Clock& clock;
  LogPolicy policy;
  std::string incarnation;

  mutable std::mutex mutex;
  std::condition_variable work;      // for the writer's thread
  std::condition_variable progress;  // for append() and flush()
  std::function<void(const std::vector<Extent>&)> callback;
  Batch pending;
  std::chrono::steady_clock::time_point oldest;  // when `pending` began
  std::uint64_t writing_memory = 0;              // of the object that is being written…
  std::uint64_t writing_bytes = 0;               // …and its own
  std::uint64_t appended = 0;                    // tickets: appends and gaps taken…
  std::uint64_t durable = 0;                     // …and how many of them are durable
  bool flush_wanted = false;
  bool closed = false;
  bool stopping = false;
  std::exception_ptr failed;
  LogbookStatus status;
  std::uint64_t sequence = 0;
  std::shared_ptr<std::string> sealed_room;  // the writer's thread's
  std::thread thread;  // none, for a store that takes one call at a time: then the callers write

  Impl(Vault v, LogbookOptions o, Clock& c, Random& random, LogPolicy p)
      : vault(v),
        options(o),
        clock(c),
        policy(std::move(p)),
        incarnation(compact_time(c.now()) + "-" + random.hex(8)) {
    if (vault.store().calls_at_once() > 1) {
      thread = start_thread("writing the logbook", [this] { run(); });
    }
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    work.notify_all();
    if (thread.joinable()) thread.join();
  }

  // --- the callers' side ---

  // Under the lock.
  void check_open() const {
    if (failed) std::rethrow_exception(failed);
    if (closed) throw Error(Code::failed, "logbook " + incarnation, "is closed");
  }

  // Waits until `done()` under the lock, failure or cancel.
  template <typename Done>
  void wait(std::unique_lock<std::mutex>& lock, const Cancel& cancel, Done&& done) {
    while (!done()) {
      if (failed) std::rethrow_exception(failed);
      if (cancel.requested()) cancel.check();
      if (thread.joinable()) {
        progress.wait_for(lock, kCancelPoll);
      } else {
        auto batch = take_pending();
        lock.unlock();
        write(std::move(batch));
        lock.lock();
      }
    }
  }

  void append(const Extent& extent, ExtentBytes piece, const Cancel& cancel) {
    check(extent, piece.bytes);
    const auto size = piece.bytes.size();
    std::shared_ptr<std::string> room;
    if (!piece.buffer || size < kHold) {  // before the lock: other logs do not wait for it
      room = copy_with_room(piece.bytes);
      piece = {*room, room, piece.crc32c};
    }
    std::unique_lock lock(mutex);
    check_open();
    auto cost = [&] {
      return kExtentCost + (room ? size : held(piece) ? 0 : piece.buffer->capacity());
    };
    wait(lock, cancel, [&] {
      auto waiting = pending.memory + writing_memory;
      auto bytes = pending.bytes + writing_bytes + kExtentCost + size;
      if (waiting == 0 || std::max(waiting + cost(), bytes) <= options.max_buffered.value) {
        return true;
      }
      want_flush();
      return false;
    });
    check_open();
    begin_batch();
    pending.memory += cost();
    pending.bytes += kExtentCost + size;
    if (!room) pending.buffers.insert(piece.buffer.get());
    if (!merge(extent, piece, room)) {
      pending.last[extent.log] = pending.extents.size();
      pending.extents.push_back({extent, {}, 0, {}});
      pending.extents.back().add(std::move(piece), std::move(room));
    }
    ++appended;
    if (pending.bytes >= options.flush_bytes.value) work.notify_all();
  }

  // Under the lock. A buffer that is held in two objects counts in both.
  bool held(const ExtentBytes& piece) const { return pending.buffers.contains(piece.buffer.get()); }

  static void check(const Extent& extent, std::string_view bytes) {
    if (!valid_range(extent.base, extent.next) || !valid_log(extent.log) ||
        bytes.size() > kMaxExtent.value || extent.attributes_json.size() > kMaxAttributes) {
      throw Error(
          Code::failed, "logbook",
          "takes no extent " + describe(extent) + " of " + std::to_string(bytes.size()) + " bytes");
    }
  }

  bool merge(const Extent& extent, ExtentBytes& piece, std::shared_ptr<std::string>& room) {
    auto it = pending.last.find(extent.log);
    if (it == pending.last.end()) return false;
    PendingExtent& last = pending.extents[it->second];
    if (last.extent.next != extent.base ||
        last.size + piece.bytes.size() > options.max_extent.value) {
      return false;
    }
    auto attributes = merge_attributes(policy, last.extent, extent);
    if (!attributes) return false;
    last.extent.attributes_json = std::move(*attributes);
    last.add(std::move(piece), std::move(room));
    last.extent.next = extent.next;
    last.extent.min_time = std::min(last.extent.min_time, extent.min_time);
    last.extent.max_time = std::max(last.extent.max_time, extent.max_time);
    return true;
  }

  void begin_batch() {
    if (!pending.empty()) return;
    oldest = clock.steady();
    work.notify_all();
  }

  void gap(const Gap& gap) {
    if (!valid_range(gap.from, gap.to) || !valid_log(gap.log) || gap.why.size() > kMaxAttributes) {
      throw Error(Code::failed, "logbook", "takes no such gap in " + gap.log.value);
    }
    std::lock_guard lock(mutex);
    check_open();
    begin_batch();
    pending.gaps.push_back(gap);
    pending.bytes += kExtentCost;
    pending.memory += kExtentCost;
    ++appended;
  }

  void want_flush() {
    if (flush_wanted) return;
    flush_wanted = true;
    work.notify_all();
  }

  void flush(const Cancel& cancel) {
    std::unique_lock lock(mutex);
    if (failed) std::rethrow_exception(failed);
    std::uint64_t wanted = appended;
    wait(lock, cancel, [&] {
      if (durable >= wanted) return true;
      want_flush();
      return false;
    });
  }

  void close(const Cancel& cancel) {
    {
      std::lock_guard lock(mutex);
      closed = true;
    }
    flush(cancel);
  }

  // --- the writer's thread ---

  void run() {
    try {
      while (auto batch = next_batch()) write(std::move(*batch));
    } catch (...) {
      std::lock_guard lock(mutex);
      failed = std::current_exception();
      progress.notify_all();
    }
  }

  std::optional<Batch> next_batch() {
    std::unique_lock lock(mutex);
    for (;;) {
      if (stopping) return std::nullopt;
      if (pending.empty()) {
        flush_wanted = false;
        work.wait(lock);
        continue;
      }
      auto waited = std::chrono::duration_cast<Millis>(clock.steady() - oldest);
      if (flush_wanted || pending.bytes >= options.flush_bytes.value ||
          waited >= options.flush_interval) {
        break;
      }
      work.wait_for(lock, options.flush_interval - waited);
    }
    return take_pending();
  }

  // Under the lock.
  Batch take_pending() {
    Batch batch = std::exchange(pending, {});
    batch.tickets = appended;
    writing_memory = batch.memory;
    writing_bytes = batch.bytes;
    flush_wanted = false;
    return batch;
  }

  void write(Batch batch) {
    std::vector<Extent> extents;
    const auto size = write_object(batch, extents);
    if (!size) return;  // being destroyed: it was never durable
    ++sequence;
    std::function<void(const std::vector<Extent>&)> call;
    {
      std::lock_guard lock(mutex);
      call = callback;
    }
    if (call) call(extents);
    std::lock_guard lock(mutex);
    durable = batch.tickets;
    writing_memory = 0;
    writing_bytes = 0;
    ++status.objects;
    status.stored_bytes = status.stored_bytes + *size;
    progress.notify_all();
  }

  // Its size; nothing of what it was made of is held afterwards. nullopt: the writer is destroyed.
  std::optional<std::uint64_t> write_object(Batch& batch, std::vector<Extent>& extents) {
    const auto name = logbook_name({incarnation, sequence});
    LogbookObject object(name, options.zstd_level, vault.sealing(), room_for(batch));
    const auto parts = build(object, batch, extents);
    if (!store_until_done(name, parts)) return std::nullopt;
    std::uint64_t size = 0;
    for (auto part : parts) size += part.size();
    return size;
  }

  // Of an encrypted vault: where the object's sealed extents lie.
  std::shared_ptr<std::string> room_for(const Batch& batch) {
    auto size = batch.bytes + batch.extents.size() * kTagSize;
    if (!vault.encrypted() || size > options.max_buffered.value) return nullptr;
    if (!sealed_room || sealed_room->size() < size) {
      sealed_room.reset();
      sealed_room = std::make_shared<std::string>(size, '\0');
    }
    return sealed_room;
  }

  std::vector<std::string_view> build(LogbookObject& object, Batch& batch,
                                      std::vector<Extent>& extents) {
    for (auto& one : batch.extents) {
      bool compress = !policy.compress || policy.compress(one.extent.log);
      object.add(one.extent, std::move(one.pieces), compress);
      extents.push_back(std::move(one.extent));
    }
    return object.finish(clock.now(), std::move(batch.gaps));
  }

  // False when the writer is destroyed meanwhile.
  bool store_until_done(const std::string& name, const std::vector<std::string_view>& object) {
    for (Millis backoff = options.backoff_first;;
         backoff = std::min(backoff * 2, options.backoff_most)) {
      try {
        store_once(name, object);
        std::lock_guard lock(mutex);
        if (status.failing) spdlog::info("logbook: the store takes writes again");
        status.failing.reset();
        return true;
      } catch (const Error& error) {
        if (!worth_trying_again(error.code())) throw;
        std::unique_lock lock(mutex);
        if (!status.failing) {
          spdlog::warn("logbook: cannot write {}: {}; trying until it succeeds", name,
                       error.what());
        }
        status.failing = error.what();
        if (work.wait_for(lock, backoff, [&] { return stopping; })) return false;
      }
    }
  }

  // `exists` after an answer that was lost: it is ours when it has our bytes.
  void store_once(const std::string& name, const std::vector<std::string_view>& object) {
    if (vault.store().put_parts_if_absent(name, object) == store::PutResult::written) return;
    if (same_bytes(vault.store().get(name), object)) return;
    throw Error(Code::conflict, "logbook " + name, "was written by somebody else",
                "start again: each start writes under a name of its own");
  }
};

std::optional<std::string> merge_attributes(const LogPolicy& policy, const Extent& a,
                                            const Extent& b) {
  std::optional<std::string> out;
  if (policy.merge_attributes) {
    out = policy.merge_attributes(a, b);
  } else if (a.attributes_json == b.attributes_json) {
    out = a.attributes_json;
  }
  if (out && out->size() > kMaxAttributes) out.reset();
  return out;
}

LogbookWriter::LogbookWriter(Vault vault, LogbookOptions options, Clock& clock, Random& random,
                             LogPolicy policy)
    : impl_(std::make_unique<Impl>(vault, options, clock, random, std::move(policy))) {}
LogbookWriter::~LogbookWriter() = default;

void LogbookWriter::append(const Extent& extent, const ExtentBytes& piece, const Cancel& cancel) {
  impl_->append(extent, piece, cancel);
}
void LogbookWriter::gap(const Gap& gap) {
  impl_->gap(gap);
}

void LogbookWriter::on_durable(std::function<void(const std::vector<Extent>&)> callback) {
  std::lock_guard lock(impl_->mutex);
  impl_->callback = std::move(callback);
}

void LogbookWriter::flush(const Cancel& cancel) {
  impl_->flush(cancel);
}
void LogbookWriter::close(const Cancel& cancel) {
  impl_->close(cancel);
}

LogbookStatus LogbookWriter::status() const {
  std::lock_guard lock(impl_->mutex);
  LogbookStatus out = impl_->status;
  out.buffered = ByteCount(impl_->pending.memory + impl_->writing_memory);
  return out;
}

const std::string& LogbookWriter::incarnation() const {
  return impl_->incarnation;
}

}  // namespace lifeboat::vault
