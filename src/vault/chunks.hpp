#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/checksum.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

// A piece of content: known by the SHA-256 of its uncompressed bytes, stored once.
struct ChunkRef {
  Digest digest;
  ByteCount size;  // uncompressed
  friend auto operator<=>(const ChunkRef&, const ChunkRef&) = default;
};

constexpr ByteCount kMaxChunk{16u << 20};  // uncompressed; nothing larger is written or read

struct ChunkOptions {
  int zstd_level = 1;
  unsigned threads = 4;  // writers at a time, so that their fsyncs overlap
};

struct ChunkStats {
  std::uint64_t chunks = 0;      // asked for
  std::uint64_t new_chunks = 0;  // written; the others were there
  ByteCount bytes;               // uncompressed, asked for
  ByteCount new_bytes;           // uncompressed, of the new ones
  ByteCount stored_bytes;        // what the new ones take in the store
};

// The name of the chunk's object: chunks/<2 digits>/<64 digits> of its id, Vault::name_of() its
// digest. chunk_id(): nullopt when the name is not one.
std::string chunk_name(const Digest& id);
std::optional<Digest> chunk_id(std::string_view name);

// The content of a chunk's object. Error(corrupt) when it is not what the id says.
std::string open_chunk(const Vault& vault, const Digest& id, std::string object);

// Reads and writes chunks. Thread-safe. Memory: 2 MiB to know what is there, at most 2 * threads
// chunks waiting or being written or read, and a compressed copy of those being so. Its threads
// start with the first put_later() or get_later().
class Chunks {
 public:
  explicit Chunks(Vault vault, ChunkOptions options = {});
  ~Chunks();  // waits for what was begun
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;

  // Durable when it returns. Error(failed) above kMaxChunk.
  ChunkRef put(std::string_view bytes);
  // The same on a thread of the pool; blocks while 2 * threads are under way. The future gives the
  // reference once the chunk is durable, or the error.
  std::future<ChunkRef> put_later(std::string bytes);

  // Error(not_found) when it is missing, Error(corrupt) when it is not what its name says.
  std::string get(const ChunkRef& ref);
  // The same on a thread of the pool; blocks while 2 * threads are under way.
  std::future<std::string> get_later(const ChunkRef& ref);
  bool has(const Digest& digest);

  ChunkStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lifeboat::vault
