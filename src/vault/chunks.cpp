#include "vault/chunks.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_set>

#include "base/buffer_pool.hpp"
#include "base/error.hpp"
#include "vault/chunk_runs.hpp"
#include "vault/pack_writer.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

Error missing(const Digest& digest, const std::vector<PackIndex::Damaged>& damaged) {
  std::string why = "is missing: no pack in the vault has it";
  if (!damaged.empty()) {
    why += fmt::format(" ({} cannot be read, the first: {})", damaged.size(),
                       damaged.front().error.what());
  }
  return Error(Code::not_found, "chunk " + digest.hex(), why,
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

constexpr std::size_t kBuffersKept = 48;
constexpr ByteCount kLargestKept{2u << 20};
constexpr ByteCount kSmall{256u << 10};

}  // namespace

struct Chunks::Impl {
  Vault vault;
  ChunkOptions options;

  std::mutex mutex;  // guards what follows
  std::shared_ptr<PackIndex> index;
  std::unordered_set<Digest, HashDigest> pending;  // in packs that are not durable yet
  std::vector<bool> used;                          // by put(), of each pack of the index
  std::set<std::string> used_before;               // the same, of an index loaded earlier
  ChunkStats stats;

  PackWriter writer;
  BufferPool contents{kBuffersKept, kLargestKept};
  WorkPool pool;  // last: its threads end first

  Impl(Vault v, std::shared_ptr<PackIndex> i, ChunkOptions o)
      : vault(v),
        options(for_store(std::move(o), v.store())),
        index(std::move(i)),
        writer(v, {options.pack_size, options.threads > 0, options.clock, options.seed},
               [this](const PackBuilder& pack, ByteCount size) { written(pack, size); }),
        pool(options.threads) {}

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
    for (const auto& bad : index->damaged()) {
      spdlog::warn("vault: {}; what it holds counts as missing", bad.error.what());
    }
  }

  ChunkRef put(std::string bytes) {
    ChunkRef ref{sha256(bytes), ByteCount(bytes.size())};
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

  struct Found {
    PackInfo pack;
    PackPlace place;
  };
  std::vector<Found> find(const Digest& digest) {
    std::lock_guard lock(mutex);
    std::vector<Found> out;
    for (const auto& place : loaded().places(digest)) {
      out.push_back({index->packs()[place.pack], place});
    }
    return out;
  }

  // From whichever pack has it whole. Packs may have been written and removed since the index was
  // loaded: it is loaded again before a chunk is said to be missing.
  std::string get(const ChunkRef& ref) {
    if (ref.size > kMaxChunk) {
      throw Error(Code::corrupt, "chunk " + ref.digest.hex(),
                  fmt::format("is said to have {} bytes, more than any has", ref.size),
                  "use another point; lifeboat verify names what is damaged");
    }
    std::optional<Error> damage;
    for (int tries = 0; tries < 2; ++tries) {
      for (const auto& found : find(ref.digest)) {
        try {
          if (auto content = read(ref, found)) return std::move(*content);
        } catch (const Error& error) {
          if (error.code() != Code::corrupt) throw;
          damage = error;
        }
      }
      if (tries == 0) load_again();
    }
    if (damage) throw *damage;
    std::lock_guard lock(mutex);
    throw missing(ref.digest, loaded().damaged());
  }

  // nullopt: the pack is gone.
  std::optional<std::string> read(const ChunkRef& ref, const Found& found) {
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

  struct Asked {
    ChunkRef ref;
    std::promise<Content> content;
  };

  std::vector<std::future<Content>> get_later(std::span<const ChunkRef> refs) {
    auto asked = std::make_shared<std::vector<Asked>>(refs.size());
    std::vector<std::future<Content>> out;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      (*asked)[i].ref = refs[i];
      out.push_back((*asked)[i].content.get_future());
    }
    auto [runs, packs, nowhere] = plan(refs);
    for (auto i : nowhere) {
      pool.later<void>([this, asked, i] { give_alone((*asked)[i]); });
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
      pool.later<void>([this, asked, run = std::move(runs[i]), pack = std::move(packs[i])] {
        read_run(run, pack, *asked);
      });
    }
    return out;
  }

  struct Plan {
    std::vector<ChunkRun> runs;
    std::vector<PackInfo> packs;       // of each run
    std::vector<std::size_t> nowhere;  // the index has no place of these
  };
  Plan plan(std::span<const ChunkRef> refs) {
    std::lock_guard lock(mutex);
    Plan out;
    std::vector<WantedChunk> wanted;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      auto place = loaded().find(refs[i].digest);
      if (place && refs[i].size <= kMaxChunk) {
        wanted.push_back({i, *place, refs[i].size});
      } else {
        out.nowhere.push_back(i);
      }
    }
    out.runs = plan_runs(std::move(wanted));
    for (const auto& run : out.runs) out.packs.push_back(index->packs()[run.pack]);
    return out;
  }

  void give_alone(Asked& asked) {
    try {
      asked.content.set_value(std::make_shared<const std::string>(get(asked.ref)));
    } catch (...) {
      asked.content.set_exception(std::current_exception());
    }
  }

  // A chunk that is not whole here may be so in another pack: get() looks.
  void read_run(const ChunkRun& run, const PackInfo& pack, std::vector<Asked>& asked) {
    std::string stored;
    try {
      stored = vault.store().get_range(pack.name, run.offset, run.length).value_or("");
    } catch (...) {
      for (const auto& chunk : run.chunks) {
        asked[chunk.number].content.set_exception(std::current_exception());
      }
      return;
    }
    auto seal = seal_of(pack);
    std::optional<ChunkRef> before;
    Content content;
    for (const auto& chunk : run.chunks) {
      auto& one = asked[chunk.number];
      if (before != one.ref) {  // else it is wanted twice, and open already
        content = open_in(run, chunk, stored, pack, seal ? &*seal : nullptr, one.ref);
        before = one.ref;
      }
      if (content) {
        one.content.set_value(content);
      } else {
        give_alone(one);
      }
    }
  }

  // Large buffers are kept and filled again; small chunks, of which many are waiting, take what
  // they need.
  std::shared_ptr<std::string> place_for(ByteCount size) {
    return size < kSmall ? std::make_shared<std::string>() : contents.take();
  }

  // nullptr: it is not whole.
  Content open_in(const ChunkRun& run, const WantedChunk& chunk, std::string& stored,
                  const PackInfo& pack, const ObjectSeal* seal, const ChunkRef& ref) {
    auto at = chunk.place.offset - run.offset.value;
    if (at + chunk.place.stored > stored.size()) return nullptr;
    auto content = place_for(ref.size);
    try {
      open_packed_chunk(seal, pack.name, packed(ref, chunk.place),
                        std::span(stored).subspan(at, chunk.place.stored), *content);
    } catch (const std::exception&) {  // get() meets it again, and tells
      return nullptr;
    }
    return content;
  }

  void load_again() {
    std::lock_guard lock(mutex);
    load();
  }
};

Chunks::Chunks(Vault vault, ChunkOptions options) : Chunks(vault, nullptr, std::move(options)) {}
Chunks::Chunks(Vault vault, std::shared_ptr<PackIndex> index, ChunkOptions options)
    : impl_(std::make_unique<Impl>(vault, std::move(index), std::move(options))) {}
Chunks::~Chunks() = default;

ChunkRef Chunks::put(std::string bytes) {
  return impl_->put(std::move(bytes));
}

std::future<ChunkRef> Chunks::put_later(std::string bytes) {
  return impl_->pool.later<ChunkRef>([impl = impl_.get(), bytes = std::move(bytes)]() mutable {
    return impl->put(std::move(bytes));
  });
}

bool Chunks::use(std::span<const ChunkRef> refs) {
  return impl_->use_all(refs);
}

void Chunks::flush() {
  impl_->pool.wait_until_idle();
  impl_->writer.flush();
}

std::string Chunks::get(const ChunkRef& ref) {
  return impl_->get(ref);
}

std::vector<std::future<Chunks::Content>> Chunks::get_later(std::span<const ChunkRef> refs) {
  return impl_->get_later(refs);
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

}  // namespace lifeboat::vault
