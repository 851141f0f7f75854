#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lifeboat::vault {

// How a chunk's content lies in a pack; docs/format.md has the bytes.
enum class ChunkCodec : std::uint8_t {
  none = 0,        // as it is
  zstd = 1,        // one zstd frame of it
  zstd_delta = 2,  // one zstd frame of its delta
};
inline bool is_chunk_codec(ChunkCodec codec) {
  return codec <= ChunkCodec::zstd_delta;
}

// The delta of content: each byte without the one that is kDeltaStride before it, modulo 256; the
// first ones as they are. Records of equal length whose fields count up, as those of an index of
// numbers do, become the same bytes again and again. 48 bytes are whole records of 8, 12, 16, 24:
// PostgreSQL's index tuples of one or two numbers have 16 or 24 (docs "Database Page Layout").
constexpr std::size_t kDeltaStride = 48;
void to_delta(std::string_view content, char* delta);
void from_delta(char* bytes, std::size_t size);  // in place

struct Compressed {
  ChunkCodec codec = ChunkCodec::none;
  std::string bytes;
};
// By what suits the content best, as far as a sample of it tells; the same for the same content.
// `none`, and the content itself, when it does not shrink. Memory, kept for each thread: three
// times the largest content.
Compressed compress_content(std::string content, int zstd_level);

// The inverse, of anybody's bytes, for a codec other than `none`. False: they are not what
// compress_content() gives for content of that size; `content` is then anything.
bool decompress_content(ChunkCodec codec, std::string_view bytes, std::size_t size,
                        std::string& content);

}  // namespace lifeboat::vault
