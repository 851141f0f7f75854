#include "vault/chunks.hpp"

#include <zstd.h>

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/sealing.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint8_t kZstd = 1;  // flag
constexpr std::size_t kKnownSlots = 1 << 16;

// raw size, then the content, compressed where that makes it smaller.
std::string seal_chunk(const Sealing* sealing, const std::string& name, std::string_view bytes,
                       int level) {
  thread_local std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                            &ZSTD_freeCCtx);
  std::string object = begin_object(sealing);
  append_le<std::uint32_t>(object, static_cast<std::uint32_t>(bytes.size()));
  std::size_t begin = object.size();
  object.resize(begin + ZSTD_compressBound(bytes.size()));
  std::size_t n = ZSTD_compressCCtx(context.get(), object.data() + begin, object.size() - begin,
                                    bytes.data(), bytes.size(), level);
  if (ZSTD_isError(n) != 0) {
    throw Error(Code::failed, name, std::string("zstd: ") + ZSTD_getErrorName(n));
  }
  bool smaller = n < bytes.size();
  object.resize(begin + (smaller ? n : 0));
  if (!smaller) object += bytes;
  finish_object(sealing, ObjectType::chunk, name, object, smaller ? kZstd : std::uint8_t{0});
  return object;
}

// Digests known to be in the store: exact, forgets some, never takes more than its 2 MiB.
class KnownDigests {
 public:
  bool has(const Digest& digest) {
    std::lock_guard lock(mutex_);
    return !slots_.empty() && slots_[slot(digest)] == digest;
  }
  void add(const Digest& digest) {
    std::lock_guard lock(mutex_);
    if (slots_.empty()) slots_.resize(kKnownSlots);
    slots_[slot(digest)] = digest;
  }

 private:
  static std::size_t slot(const Digest& d) { return d.bytes[0] | d.bytes[1] << 8; }
  std::mutex mutex_;
  std::vector<Digest> slots_;
};

}  // namespace

std::string chunk_name(const Digest& id) {
  std::string hex = id.hex();
  return "chunks/" + hex.substr(0, 2) + "/" + hex;
}

std::optional<Digest> chunk_id(std::string_view name) {
  if (name.size() != 10 + 64) return std::nullopt;
  auto id = Digest::parse(name.substr(10));
  if (!id || chunk_name(*id) != name) return std::nullopt;
  return id;
}

std::string open_chunk(const Vault& vault, const Digest& id, std::string object) {
  std::string name = chunk_name(id);
  auto opened = unseal(vault.sealing(), ObjectType::chunk, name, object);
  ByteReader reader(opened.payload, "chunk " + name);
  auto size = reader.le<std::uint32_t>();
  if (size > kMaxChunk.value) {
    throw_corrupt(ObjectType::chunk, name, "says it has " + std::to_string(size) + " bytes");
  }
  std::string out;
  if (opened.flags == kZstd) {
    out.resize(size);
    std::size_t n = ZSTD_decompress(out.data(), size, reader.rest().data(), reader.left());
    if (ZSTD_isError(n) != 0 || n != size) {
      throw_corrupt(ObjectType::chunk, name, "cannot be decompressed");
    }
  } else if (opened.flags == 0) {
    out = reader.rest();
  } else {
    throw_corrupt(ObjectType::chunk, name, "has unknown flags");
  }
  if (out.size() != size || vault.name_of(sha256(out)) != id) {
    throw_corrupt(ObjectType::chunk, name, "its content is not the one that it is named after");
  }
  return out;
}

struct Chunks::Impl {
  Vault vault;
  ChunkOptions options;
  KnownDigests known;

  std::mutex mutex;
  std::condition_variable changed;
  ChunkStats stats;
  std::deque<std::function<void()>> queue;
  std::size_t under_way = 0;  // queued or being done
  bool stopping = false;
  std::vector<std::thread> threads;

  Impl(Vault v, ChunkOptions o) : vault(v), options(o) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    for (auto& thread : threads) thread.join();
  }

  void count(std::size_t size, std::optional<std::size_t> stored) {
    std::lock_guard lock(mutex);
    ++stats.chunks;
    stats.bytes = stats.bytes + size;
    if (!stored) return;
    ++stats.new_chunks;
    stats.new_bytes = stats.new_bytes + size;
    stats.stored_bytes = stats.stored_bytes + *stored;
  }

  ChunkRef put(std::string_view bytes) {
    if (bytes.size() > kMaxChunk.value) {
      throw Error(Code::failed, "chunk",
                  "of " + std::to_string(bytes.size()) + " bytes: at most " +
                      std::to_string(kMaxChunk.value) + " go into one");
    }
    ChunkRef ref{sha256(bytes), ByteCount(bytes.size())};
    std::optional<std::size_t> stored;
    if (!has(ref.digest)) {
      std::string name = chunk_name(vault.name_of(ref.digest));
      std::string object = seal_chunk(vault.sealing(), name, bytes, options.zstd_level);
      stored = object.size();
      vault.store().put_if_absent(name, object);  // `exists`: the same content, by its name
      known.add(ref.digest);
    }
    count(bytes.size(), stored);
    return ref;
  }

  bool has(const Digest& digest) {
    if (known.has(digest)) return true;
    if (!vault.store().stat(chunk_name(vault.name_of(digest)))) return false;
    known.add(digest);
    return true;
  }

  std::string get(const ChunkRef& ref) {
    auto id = vault.name_of(ref.digest);
    std::string name = chunk_name(id);
    auto object = vault.store().get(name);
    if (!object) {
      throw Error(Code::not_found, "chunk " + name, "is missing from the vault",
                  "use another point; lifeboat verify names those that need it");
    }
    auto bytes = open_chunk(vault, id, std::move(*object));
    if (bytes.size() != ref.size.value) {
      throw_corrupt(ObjectType::chunk, name,
                    "has " + std::to_string(bytes.size()) + " bytes; what refers to it says " +
                        std::to_string(ref.size.value));
    }
    return bytes;
  }

  // Runs `job` on a thread of the pool. What it captures goes when it is done, not when the future
  // goes: a packaged_task would keep it.
  template <typename Result, typename Job>
  std::future<Result> later(Job job) {
    auto promise = std::make_shared<std::promise<Result>>();
    auto future = promise->get_future();
    enqueue([promise, job = std::move(job)] {
      try {
        promise->set_value(job());
      } catch (...) {
        promise->set_exception(std::current_exception());
      }
    });
    return future;
  }

  void enqueue(std::function<void()> job) {
    std::unique_lock lock(mutex);
    std::size_t threads_wanted = std::max(1u, options.threads);
    changed.wait(lock, [&] { return under_way < 2 * threads_wanted; });
    if (threads.size() < threads_wanted) threads.emplace_back([this] { work(); });
    ++under_way;
    queue.push_back(std::move(job));
    lock.unlock();
    changed.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      {
        auto job = std::move(queue.front());
        queue.pop_front();
        lock.unlock();
        job();
      }
      lock.lock();
      --under_way;
      changed.notify_all();
    }
  }
};

Chunks::Chunks(Vault vault, ChunkOptions options) : impl_(std::make_unique<Impl>(vault, options)) {}
Chunks::~Chunks() = default;

ChunkRef Chunks::put(std::string_view bytes) {
  return impl_->put(bytes);
}

std::future<ChunkRef> Chunks::put_later(std::string bytes) {
  return impl_->later<ChunkRef>(
      [impl = impl_.get(), bytes = std::move(bytes)] { return impl->put(bytes); });
}

std::string Chunks::get(const ChunkRef& ref) {
  return impl_->get(ref);
}

std::future<std::string> Chunks::get_later(const ChunkRef& ref) {
  return impl_->later<std::string>([impl = impl_.get(), ref] { return impl->get(ref); });
}

bool Chunks::has(const Digest& digest) {
  return impl_->has(digest);
}

ChunkStats Chunks::stats() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->stats;
}

}  // namespace lifeboat::vault
