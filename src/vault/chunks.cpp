#include "vault/chunks.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <unordered_set>

#include "base/buffer_pool.hpp"
#include "base/error.hpp"
#include "vault/chunk_runs.hpp"
#include "vault/damage.hpp"
#include "vault/hash_queue.hpp"
#include "vault/pack_writer.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

Error missing(const Digest& digest, const std::vector<PackIndex::Unreadable>& unreadable) {
  const auto subject = "chunk " + digest.hex();
  // Not missing for certain, when it may lie where nobody could look.
  for (const auto& one : unreadable) {
    if (is_known_damage(one.error.code())) continue;
    return Error(one.error.code(), subject,
                 fmt::format("is in no pack that could be read, and {} could not: {}", one.name,
                             one.error.what()),
                 one.error.hint().empty() ? "see that the store gives this pack; or use another "
                                            "point"
                                          : one.error.hint());
  }
  std::string why = "is missing: no pack in the vault has it";
  if (!unreadable.empty()) {
    why += fmt::format(" ({} cannot be read, the first: {})", unreadable.size(),
                       unreadable.front().error.what());
  }
  return Error(Code::not_found, subject, why,
               "use another point; lifeboat verify names those that need it");
}

ChunkOptions for_store(ChunkOptions options, const store::ObjectStore& store) {
  options.threads = threads_for(store, options.threads);
  return options;
}

struct HashDigest {
  std::size_t operator()(const Digest& digest) const {
    std::size_t out;
    std::memcpy(&out, digest.bytes.data(), sizeof out);
    return out;
  }
};

constexpr std::size_t kBuffersKept = 40;
constexpr std::size_t kBuffersIdle = 8;  // while nothing is compressed
constexpr std::size_t kJobs = 64;      // that wait: what they hold is bounded by who hands it over
constexpr ByteCount kUsual{1u << 20};  // of aligned chunks
constexpr ByteCount kSmall{256u << 10};
constexpr ByteCount kOpenedAtOnce{16u << 20};
constexpr std::size_t kRunsKept = 6;
constexpr ByteCount kLongestRun = RunLimits().most;
constexpr ByteCount kLongRun{kLongestRun.value / 2};  // others take what they need
constexpr int kLooks = 3;                             // for one chunk, while packs are deleted
// So many hashed at once are as fast as all else together: two threads would halve what waits.
constexpr std::size_t kWorthOneThread = 16;

}  // namespace

// Part of a pack. `bytes` are there, or known not to be ("", when the pack is gone), when `read`
// is.
struct StoredRun {
  PackInfo pack;
  ByteCount offset;
  std::shared_future<void> read;
  std::optional<ObjectSeal> seal;
  std::shared_ptr<std::string> bytes;
};

struct Chunks::Impl {
  Vault vault;
  ChunkOptions options;

  std::mutex mutex;                                // guards what follows
  std::shared_ptr<PackIndex> index;                // nullptr: not loaded yet, or that failed
  std::unordered_set<Digest, HashDigest> pending;  // in packs that are not durable yet
  std::vector<bool> used;                          // by put(), of each pack of the index
  std::set<std::string> used_before;               // the same, of an index loaded earlier
  std::uint64_t index_look = 0;  // that of `looks` which the index is of; 0: as it was loaded
  ChunkStats stats;

  // So many times it was begun to look again at which packs there are. Counted under the mutex,
  // read without.
  std::atomic<std::uint64_t> looks = 0;
  PackWriter writer;
  BufferPool contents{kBuffersKept, kUsual};
  BufferPool run_rooms{kRunsKept, kLongestRun};
  WorkPool pool;
  WorkPool reading;  // waits for the store, while the others work
  HashQueue hashing;

  Impl(Vault v, std::shared_ptr<PackIndex> i, ChunkOptions o)
      : vault(v),
        options(for_store(std::move(o), v.store())),
        index(std::move(i)),
        writer(v, {options.pack_size, options.threads > 0, options.clock, options.seed},
               [this](const PackBuilder& pack, ByteCount size) { written(pack, size); }),
        pool(options.threads, kJobs),
        reading(options.threads),
        hashing(sha256_at_once() >= kWorthOneThread ? std::min(options.threads, 1u)
                                                    : options.threads) {}

  // What was put later holds room of `hashing`, which hands it to `pool`.
  ~Impl() { settle(); }

  void settle() {
    hashing.wait_until_empty();
    pool.wait_until_idle();
  }

  PackIndex& loaded() {
    if (!index) load();
    return *index;
  }

  void use(std::size_t pack) {
    used.resize(std::max(used.size(), pack + 1));
    used[pack] = true;
  }

  std::set<std::string> used_packs() const {
    auto out = used_before;
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (used[i]) out.insert(index->packs()[i].name);
    }
    return out;
  }

  void load() {
    used_before = used_packs();
    used.clear();
    index.reset();  // the memory of one, not of two
    index = std::make_shared<PackIndex>(PackIndex::load(vault, options.absent, Cancel()));
    for (const auto& bad : index->unreadable()) {
      spdlog::warn("vault: {}; what it holds counts as missing, and a backup stores it anew",
                   bad.error.what());
    }
  }

  std::future<ChunkRef> put_later(std::string bytes) {
    auto promise = std::make_shared<std::promise<ChunkRef>>();
    auto future = promise->get_future();
    hashing.add(std::move(bytes), [this, promise](HashQueue::Hashed hashed) {
      auto held = std::make_shared<HashQueue::Hashed>(std::move(hashed));
      pool.later<void>([this, promise, held] {
        fulfil(*promise, [&] { return put(held->digest, std::move(held->bytes)); });
      });
    });
    return future;
  }

  ChunkRef put(const Digest& digest, std::string bytes) {
    ChunkRef ref{digest, ByteCount(bytes.size())};
    bool is_new = claim(ref);
    if (!is_new) return ref;
    auto chunk = compress_chunk(std::move(bytes), options.zstd_level);
    chunk.digest = ref.digest;
    count_new(ref, chunk.bytes.size());
    writer.add(chunk);
    return ref;
  }

  // True: it is not there, and nobody else is storing it.
  bool claim(const ChunkRef& ref) {
    if (ref.size > kMaxChunk) {
      throw Error(Code::failed, "chunk",
                  fmt::format("of {} bytes: at most {} go into one", ref.size, kMaxChunk));
    }
    std::lock_guard lock(mutex);
    ++stats.chunks;
    stats.bytes = stats.bytes + ref.size.value;
    if (const auto place = loaded().find(ref.digest)) {
      use(place->pack);
      return false;
    }
    return pending.insert(ref.digest).second;
  }

  bool use_all(std::span<const ChunkRef> refs) {
    std::lock_guard lock(mutex);
    std::vector<std::uint32_t> packs;
    ByteCount bytes;
    for (const auto& ref : refs) {
      const auto place = loaded().find(ref.digest);
      if (!place) return false;
      packs.push_back(place->pack);
      bytes = bytes + ref.size.value;
    }
    for (auto pack : packs) use(pack);
    stats.chunks += refs.size();
    stats.bytes = stats.bytes + bytes.value;
    return true;
  }

  void count_new(const ChunkRef& ref, std::size_t stored) {
    std::lock_guard lock(mutex);
    ++stats.new_chunks;
    stats.new_bytes = stats.new_bytes + ref.size.value;
    stats.stored_bytes = stats.stored_bytes + stored;
  }

  void written(const PackBuilder& pack, ByteCount size) {
    std::lock_guard lock(mutex);
    ++stats.packs;
    loaded().add({pack.name(), size, static_cast<std::uint32_t>(pack.chunks()), pack.salt()},
                 pack.content());
    use(index->packs().size() - 1);
    for (const auto& chunk : pack.content()) pending.erase(chunk.digest);
  }

  bool has(const Digest& digest) {
    std::lock_guard lock(mutex);
    return loaded().has(digest);
  }

  struct Place {
    PackInfo pack;
    PackPlace place;
  };
  struct Found {
    std::vector<Place> places;
    std::uint64_t look;  // at the packs, which knew of them
  };
  Found find(const Digest& digest) {
    std::lock_guard lock(mutex);
    const auto places = loaded().places(digest);
    Found out{{}, index_look};
    for (const auto& place : places) out.places.push_back({index->packs()[place.pack], place});
    return out;
  }

  // From whichever pack has it whole. Packs may have been written and removed since the index was
  // loaded: a chunk is missing when that is so by a look that began after the first `asked` ones,
  // of which the last was before it was asked for. So one look is enough for all that were asked
  // for at once.
  std::string get(const ChunkRef& ref, std::uint64_t asked) {
    if (ref.size > kMaxChunk) {
      throw Error(Code::corrupt, "chunk " + ref.digest.hex(),
                  fmt::format("is said to have {} bytes, more than any has", ref.size),
                  "use another point; lifeboat verify names what is damaged");
    }
    std::optional<Error> why;
    for (int left = kLooks;; --left) {
      const auto [places, look] = find(ref.digest);
      bool gone = false;
      for (const auto& place : places) {
        try {
          if (auto content = read(ref, place)) return std::move(*content);
          gone = true;
        } catch (const Error& error) {
          if (error.code() == Code::cancelled) throw;
          // As long as one copy could not be had, it is not known to be lost.
          if (!why || is_damage(why->code())) why = error;
        }
      }
      if (why && is_away(why->code())) throw *why;
      if (left == 0 || (look > asked && !gone)) break;
      look_again(look);
    }
    if (why) throw *why;
    std::lock_guard lock(mutex);
    throw missing(ref.digest, loaded().unreadable());
  }

  // nullopt: the pack is gone.
  std::optional<std::string> read(const ChunkRef& ref, const Place& found) {
    const auto& [pack, place] = found;
    auto stored =
        vault.store().get_range(pack.name, ByteCount(place.offset), ByteCount(place.stored));
    if (!stored) return std::nullopt;
    auto seal = seal_of(pack);
    return open_packed_chunk(seal ? &*seal : nullptr, pack.name, packed(ref, place),
                             std::move(*stored));
  }

  static PackedChunk packed(const ChunkRef& ref, const PackPlace& place) {
    return {ref.digest,   place.offset,
            place.stored, static_cast<std::uint32_t>(ref.size.value),
            place.codec,  0};
  }

  std::optional<ObjectSeal> seal_of(const PackInfo& pack) const {
    if (!vault.sealing()) return std::nullopt;
    return vault.sealing()->object(ObjectType::pack, pack.name, pack.salt);
  }

  // --- many at a time

  // With all that is needed of the index: that may be another one before the runs are begun.
  struct Chosen {
    std::vector<Coming> coming;
    std::vector<ChunkRun> runs;
    std::vector<PackInfo> packs;  // of each run
  };

  std::vector<Coming> fetch(std::span<const ChunkRef> refs, ByteCount most) {
    auto [coming, runs, packs] = choose(refs, most);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto& run = runs[i];
      auto stored = std::make_shared<StoredRun>();
      stored->pack = std::move(packs[i]);
      stored->offset = run.offset;
      stored->read = reading
                         .later<void>([this, stored = stored.get(), keep = stored,
                                       length = run.length] { read_run(*stored, length); })
                         .share();
      const WantedChunk* before = nullptr;
      for (const auto& chunk : run.chunks) {
        auto& one = coming[chunk.number];
        one.run = stored;
        if (before != nullptr && before->place == chunk.place) {
          one.again = coming[before->number].again = true;
        }
        before = &chunk;
      }
    }
    return std::move(coming);
  }

  Chosen choose(std::span<const ChunkRef> refs, ByteCount most) {
    std::lock_guard lock(mutex);
    Chosen out;
    auto& coming = out.coming;
    std::vector<WantedChunk> wanted;
    std::uint64_t bytes = 0;
    for (const auto& ref : refs) {
      Coming one{ref, nullptr, {}};
      if (auto place = loaded().find(ref.digest); place && ref.size <= kMaxChunk) {
        if (coming.empty() || coming.back().place != *place) bytes += place->stored;
        one.place = *place;
        if (bytes > most.value && !coming.empty()) break;
        wanted.push_back({coming.size(), *place});
      }
      coming.push_back(one);
    }
    out.runs = plan_runs(std::move(wanted));
    for (const auto& run : out.runs) out.packs.push_back(index->packs()[run.pack]);
    return out;
  }

  void read_run(StoredRun& run, ByteCount length) {
    run.seal = seal_of(run.pack);
    run.bytes = room_for(run_rooms, length, kLongRun, kLongestRun);
    *run.bytes = vault.store()
                     .get_range_in(std::move(*run.bytes), run.pack.name, run.offset, length)
                     .value_or("");
  }

  struct Opening {
    Coming chunk;
    std::promise<Content> promise;
    Content content;  // as it was unpacked; none: it is not whole, or was not to be had
    std::exception_ptr error{};
  };
  struct Group {
    std::uint64_t asked;  // as for get()
    std::shared_ptr<const Cancel> abandoned;
    std::vector<Opening> openings{};
  };

  // Several small ones are one job; one that follows itself is opened once.
  std::vector<std::future<Content>> open_later(std::vector<Coming> coming,
                                               const std::shared_ptr<const Cancel>& abandoned) {
    std::vector<std::future<Content>> out;
    const auto asked = looks.load();
    auto group = std::make_shared<Group>(Group{asked, abandoned});
    std::uint64_t bytes = 0;
    auto hand_over = [&] {
      if (group->openings.empty()) return;
      pool.later<void>([this, group] { open_all(*group); });
      group = std::make_shared<Group>(Group{asked, abandoned});
      bytes = 0;
    };
    for (auto& one : coming) {
      auto& openings = group->openings;
      const bool repeated = !openings.empty() && openings.back().chunk.ref == one.ref;
      if (!repeated && bytes + one.ref.size.value > kOpenedAtOnce.value) hand_over();
      if (!repeated) bytes += one.ref.size.value;
      group->openings.push_back({std::move(one), {}, {}});
      out.push_back(group->openings.back().promise.get_future());
    }
    hand_over();
    return out;
  }

  // All are unpacked before they are compared: many are hashed faster than one after another. One
  // that follows itself is the same.
  void open_all(Group& group) {
    auto& all = group.openings;
    auto repeats = [&](std::size_t i) { return i > 0 && all[i - 1].chunk.ref == all[i].chunk.ref; };
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!repeats(i)) unpack(all[i], *group.abandoned);
    }
    try {
      compare(all);
    } catch (...) {  // of none is known whether it is whole
      for (auto& one : all) {
        if (!one.error) one.error = std::current_exception();
      }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (repeats(i)) {
        all[i].content = all[i - 1].content;
        all[i].error = all[i - 1].error;
      }
      give(all[i], group);
    }
  }

  void unpack(Opening& one, const Cancel& abandoned) {
    try {
      abandoned.check();
      if (one.chunk.run && was_given(one.chunk)) one.content = unpack(one.chunk.run, one.chunk);
    } catch (...) {
      one.error = std::current_exception();
    }
  }

  static void compare(std::vector<Opening>& group) {
    std::vector<Opening*> unpacked;
    std::vector<std::string_view> contents;
    for (auto& one : group) {
      if (!one.content.holder) continue;
      unpacked.push_back(&one);
      contents.push_back(one.content.bytes);
    }
    const auto digests = sha256_each(contents);
    for (std::size_t i = 0; i < digests.size(); ++i) {
      if (digests[i] != unpacked[i]->chunk.ref.digest) unpacked[i]->content = {};
    }
  }

  // One that is not whole here, or not to be had, may be so in another pack: get() looks.
  void give(Opening& one, const Group& group) {
    fulfil(one.promise, [&] {
      if (one.error) std::rethrow_exception(one.error);
      if (!one.content.holder) {
        group.abandoned->check();
        const auto found = std::make_shared<const std::string>(get(one.chunk.ref, group.asked));
        one.content = {*found, found};
      }
      return one.content;
    });
  }

  // A store that is away has been asked for long enough, when there is no other pack to look in.
  bool was_given(const Coming& chunk) {
    try {
      chunk.run->read.get();
      return true;
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      if (is_away(error.code()) && find(chunk.ref.digest).places.size() < 2) throw;
      return false;
    }
  }

  // Buffers of the usual size are kept and filled again. What is small, of which many are waiting,
  // and what is larger, to whose size all buffers would grow, takes what it needs.
  static std::shared_ptr<std::string> room_for(BufferPool& pool, ByteCount size, ByteCount least,
                                               ByteCount usual) {
    return size < least || size > usual ? std::make_shared<std::string>() : pool.take();
  }

  // None: it cannot be unpacked. A sealed one is opened where it lies, so one that is wanted again
  // is copied before.
  Content unpack(const std::shared_ptr<StoredRun>& run, const Coming& chunk) {
    const auto at = chunk.place.offset - run->offset.value;
    if (at + chunk.place.stored > run->bytes->size()) return {};
    std::shared_ptr<const void> holder = run;
    auto stored = std::span(*run->bytes).subspan(at, chunk.place.stored);
    if (chunk.again && run->seal) {
      auto copy = std::make_shared<std::string>(stored.begin(), stored.end());
      stored = *copy;
      holder = copy;
    }
    const auto place = packed(chunk.ref, chunk.place);
    const ByteCount size(place.codec == ChunkCodec::none ? 0 : place.size);
    auto room = room_for(contents, size, kSmall, kUsual);
    try {
      const auto content =
          unpack_chunk(run->seal ? &*run->seal : nullptr, run->pack.name, place, stored, *room);
      if (place.codec != ChunkCodec::none) {
        holder = room;
      } else {
        contents.shrink(kBuffersIdle);
      }
      return {content, holder};
    } catch (const std::exception&) {  // get() meets it again, and tells
      return {};
    }
  }

  // Unless somebody has since the one that is named. On a bad day a listing may lack a pack: the
  // index is of one that the next one agrees with.
  void look_again(std::uint64_t since) {
    std::lock_guard lock(mutex);
    if (index_look != since) return;
    const auto look = ++looks;
    bool load_it = !index || !index->was_given_all();
    for (int left = kLooks; left > 0; --left) {
      if (!load_it && index->is_current(vault, options.absent)) break;
      load();
      load_it = false;
    }
    index_look = look;
  }
};

Chunks::Chunks(Vault vault, ChunkOptions options) : Chunks(vault, nullptr, std::move(options)) {}
Chunks::Chunks(Vault vault, std::shared_ptr<PackIndex> index, ChunkOptions options)
    : impl_(std::make_unique<Impl>(vault, std::move(index), std::move(options))) {}
Chunks::~Chunks() = default;

ChunkRef Chunks::put(std::string bytes) {
  const auto digest = sha256(bytes);
  return impl_->put(digest, std::move(bytes));
}

std::future<ChunkRef> Chunks::put_later(std::string bytes) {
  return impl_->put_later(std::move(bytes));
}

bool Chunks::use(std::span<const ChunkRef> refs) {
  return impl_->use_all(refs);
}

void Chunks::flush() {
  impl_->settle();
  impl_->writer.flush();
}

std::string Chunks::get(const ChunkRef& ref) {
  return impl_->get(ref, impl_->looks);
}

std::vector<Chunks::Coming> Chunks::fetch(std::span<const ChunkRef> refs, ByteCount most) {
  return impl_->fetch(refs, most);
}

std::vector<std::future<Chunks::Content>> Chunks::open_later(
    std::vector<Coming> coming, std::shared_ptr<const Cancel> abandoned) {
  if (!abandoned) abandoned = std::make_shared<const Cancel>();
  return impl_->open_later(std::move(coming), abandoned);
}

bool Chunks::has(const Digest& digest) {
  return impl_->has(digest);
}

ChunkStats Chunks::stats() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->stats;
}

std::set<std::string> Chunks::used_packs() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->used_packs();
}

const Vault& Chunks::vault() const {
  return impl_->vault;
}

unsigned Chunks::threads() const {
  return impl_->options.threads;
}

}  // namespace lifeboat::vault
