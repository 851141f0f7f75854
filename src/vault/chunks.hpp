#pragma once

#include <future>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/checksum.hpp"
#include "base/clock.hpp"
#include "vault/pack_index.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

struct StoredRun;

// A piece of content: known by the SHA-256 of its uncompressed bytes, stored once.
struct ChunkRef {
  Digest digest;
  ByteCount size;  // uncompressed
  friend auto operator<=>(const ChunkRef&, const ChunkRef&) = default;
};

struct ChunkOptions {
  int zstd_level = 1;
  // That compress and open; as many read, others hash, and one writes packs. 0: none, all is done
  // by the caller.
  unsigned threads = 4;
  ByteCount pack_size{64u << 20};  // a pack is written when it has that size; <= kMaxPack / 2
  // Packs that count as missing: what they hold is stored anew (docs/prune.md).
  std::set<std::string> absent{};
  const Clock* clock = nullptr;         // names packs; nullptr: the real one
  std::optional<std::uint64_t> seed{};  // likewise; by default of the machine's chance
};

struct ChunkStats {
  std::uint64_t chunks = 0;      // asked for
  std::uint64_t new_chunks = 0;  // written; the others were there
  ByteCount bytes;               // uncompressed, asked for
  ByteCount new_bytes;           // uncompressed, of the new ones
  ByteCount stored_bytes;        // what the new ones take in the store
  std::uint64_t packs = 0;       // written
};

// Reads and writes chunks, in packs. Thread-safe. Knows what packs there are since its first use;
// looks again when a chunk is missing: lists the packs, and reads all footers when there are others
// than before, until two listings agree. Once for all that were asked for at once. Memory:
// PackIndex, one and a half packs (what is filled, what is written), HashQueue::kUnderWay of
// content on its way there, and what compress_content() keeps for each of `threads`; what was
// fetched and not opened, and what was opened and not taken. Its threads start when they are
// needed.
class Chunks {
 public:
  explicit Chunks(Vault vault, ChunkOptions options = {});
  // With an index that was loaded already; others may read it as long as nothing is put.
  Chunks(Vault vault, std::shared_ptr<PackIndex> index, ChunkOptions options = {});
  ~Chunks();  // waits for what was begun; what was not flushed may be gone
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;

  // Durable when flush() returns. Error(failed) above kMaxChunk. A pack that could not be written
  // is an error of this and of every later put and flush: then what was put is not all there.
  ChunkRef put(std::string bytes);
  // The same on other threads; blocks while HashQueue::kUnderWay is under way.
  std::future<ChunkRef> put_later(std::string bytes);
  // What lies in packs already, as if it had been put. False, and nothing is counted, when one of
  // them does not.
  bool use(std::span<const ChunkRef> refs);
  // All that was put and whose future was there before is durable when it returns.
  void flush();

  // Error(not_found) when it is missing, Error(corrupt) when it is not what its name says.
  std::string get(const ChunkRef& ref);
  // A chunk on its way out of the store, as it lies there. To be opened once.
  struct Coming {
    ChunkRef ref;
    std::shared_ptr<StoredRun> run;  // nullptr: no pack is known to have it
    PackPlace place;
    bool again = false;  // another one of the run has the same place
  };
  // Begins to read the first of them, those that lie near each other by one call to the store
  // (chunk_runs.hpp): as many as take `most` bytes there, and one at least. Blocks while 2 *
  // threads jobs are under way.
  std::vector<Coming> fetch(std::span<const ChunkRef> refs, ByteCount most);
  // Opens and compares them on threads of the pool; what get() would throw comes from the future.
  // Blocks likewise. When `abandoned` is requested, nobody waits for them any more: those that are
  // not opened yet are Error(cancelled).
  struct Content {
    std::string_view bytes;
    std::shared_ptr<const void> holder;  // of the bytes; nullptr: there are none
  };
  std::vector<std::future<Content>> open_later(std::vector<Coming> coming,
                                               std::shared_ptr<const Cancel> abandoned = nullptr);
  bool has(const Digest& digest);

  ChunkStats stats() const;
  // Where what was put lies, of what flush() was called for: packs that were there, and new ones.
  std::set<std::string> used_packs() const;
  const Vault& vault() const;
  unsigned threads() const;  // 0: none, all is done by the caller

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lifeboat::vault
