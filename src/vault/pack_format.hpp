#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.hpp"
#include "base/random.hpp"
#include "vault/chunk_codec.hpp"
#include "vault/container.hpp"

namespace lifeboat::vault {

// Many chunks in one object; docs/format.md has the bytes.
constexpr ByteCount kMaxChunk{16u << 20};  // uncompressed; nothing larger is written or read
constexpr ByteCount kMaxPack{1u << 30};    // nothing larger is written or read
constexpr std::uint32_t kMaxPackChunks = 1u << 20;

// Where a chunk lies in its pack.
struct PackedChunk {
  Digest digest;  // SHA-256 of its content
  std::uint32_t offset = 0;
  std::uint32_t stored = 0;  // length in the pack, sealed
  std::uint32_t size = 0;    // of its content
  ChunkCodec codec = ChunkCodec::none;
  std::uint32_t crc = 0;  // crc32c of the stored bytes
};

// packs/<time>-<16 hex digits>: drawn anew for each, so that a name never comes back.
inline constexpr std::string_view kPackPrefix = "packs/";
std::string make_pack_name(Timestamp now, Random& random);
bool is_pack_name(std::string_view name);

// Content as it goes into a pack: compressed when that makes it smaller.
struct PackableChunk {
  Digest digest;
  std::uint32_t size = 0;
  ChunkCodec codec = ChunkCodec::none;
  std::string bytes;
};
// Error(failed) above kMaxChunk. Keeps the content in the buffer it came in when it does not
// shrink.
PackableChunk compress_chunk(std::string content, int zstd_level);

// Puts a pack together. Holds it, in one piece, until it is destroyed.
class PackBuilder {
 public:
  // nullptr: a plain vault. `expected`: of the whole, so that it is not moved while it grows.
  PackBuilder(std::string name, const Sealing* sealing, ByteCount expected = {});
  const std::string& name() const { return name_; }
  ByteCount size() const { return ByteCount(kHeaderSize + bytes_.size()); }  // so far
  bool empty() const { return chunks_.empty(); }
  std::size_t chunks() const { return chunks_.size(); }
  void add(const PackableChunk& chunk);
  // The whole object in parts, which this builder holds. Once; seals, so it takes time.
  std::vector<std::string_view> finish();
  // After finish().
  const std::vector<PackedChunk>& content() const { return chunks_; }
  const Salt& salt() const { return salt_; }

 private:
  std::string name_;
  Salt salt_;
  std::optional<ObjectSeal> seal_;
  std::vector<PackedChunk> chunks_;
  std::string bytes_;  // of all, each with room for its tag
  ContainerEnds ends_;
};

struct PackFooter {
  std::vector<PackedChunk> chunks;  // back to back in the object, from its header to the footer
  Salt salt;                        // of a sealed object
};
// What the footer of a pack in the store says. Error(not_found) when the pack is gone.
PackFooter read_pack_footer(const Vault& vault, const std::string& name, ByteCount object_size);
// That of a whole pack. `damaged`: all but the footer may be.
PackFooter open_pack(const Sealing* sealing, const std::string& name, std::string_view object,
                     bool damaged = false);
// A chunk's content from its stored bytes; `seal` is its pack's, nullptr: a plain vault.
// Error(corrupt) that names pack and chunk when it is not the one that is named. Leaves the crc to
// who has a footer.
std::string open_packed_chunk(const ObjectSeal* seal, const std::string& name,
                              const PackedChunk& place, std::string stored);
// The same in two steps, for who has many: the content, which lies in `stored`, opened in place, or
// in `room`, whose memory is used again, when it was compressed; and whether that is what its
// digest says, as many are hashed faster than one.
std::string_view unpack_chunk(const ObjectSeal* seal, const std::string& name,
                              const PackedChunk& place, std::span<char> stored, std::string& room);
void expect_digest(const std::string& name, const PackedChunk& place, const Digest& digest);

}  // namespace lifeboat::vault
