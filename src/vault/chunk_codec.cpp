#include "vault/chunk_codec.hpp"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kSample = 32u << 10;          // of the middle
constexpr std::size_t kWorthASample = 8 * kSample;  // smaller content is not asked
// What shrinks that much consists of long matches. Without Huffman codes for the rest it is a tenth
// larger, and opened in two thirds of the time.
constexpr std::size_t kMuch = 16;
constexpr int kFasterLevel = -1;

// What zstd works with, of this thread. std::bad_alloc when there is no memory for it, and again at
// the next call.
template <typename Context, typename Make, typename Free>
Context* of_this_thread(Make make, Free free) {
  thread_local std::unique_ptr<Context, Free> context(nullptr, free);
  if (!context) context.reset(make());
  if (!context) throw std::bad_alloc();
  return context.get();
}

// Bytes in one register (GCC's vector extension); they wrap around.
using Some = unsigned char __attribute__((vector_size(16)));

struct Way {
  ChunkCodec codec = ChunkCodec::zstd;
  int level = 1;
  std::size_t promised = SIZE_MAX;  // that all will have, going by the sample
};

std::size_t compress(std::string_view content, int level, std::string& out) {
  auto* context = of_this_thread<ZSTD_CCtx>(&ZSTD_createCCtx, &ZSTD_freeCCtx);
  out.resize(std::max(out.size(), ZSTD_compressBound(content.size())));
  const auto size =
      ZSTD_compressCCtx(context, out.data(), out.size(), content.data(), content.size(), level);
  if (ZSTD_isError(size) != 0) {
    throw Error(Code::failed, "chunk", std::string("zstd: ") + ZSTD_getErrorName(size));
  }
  return size;
}

std::string_view delta_of(std::string_view content) {
  thread_local std::string delta;
  delta.resize(std::max(delta.size(), content.size()));
  to_delta(content, delta.data());
  return {delta.data(), content.size()};
}

Way choose(std::string_view content, int level, std::string& room) {
  if (content.size() < kWorthASample) return {ChunkCodec::zstd, level};
  const auto sample = content.substr(content.size() / 2, kSample);
  const auto way = [&](ChunkCodec codec, std::size_t size) {
    return Way{codec, size * kMuch <= kSample ? std::min(level, kFasterLevel) : level,
               size * (content.size() / kSample + 1)};
  };
  const auto plain = compress(sample, level, room);
  const bool shrinks_little = plain * 10 > kSample * 9;
  if (shrinks_little || plain * kMuch <= kSample) return way(ChunkCodec::zstd, plain);
  const auto delta = compress(delta_of(sample), level, room);
  return delta * 2 <= plain ? way(ChunkCodec::zstd_delta, delta) : way(ChunkCodec::zstd, plain);
}

}  // namespace

void to_delta(std::string_view content, char* delta) {
  auto at = std::min(content.size(), kDeltaStride);
  std::memcpy(delta, content.data(), at);
  for (; at + sizeof(Some) <= content.size(); at += sizeof(Some)) {
    Some bytes, before;
    std::memcpy(&bytes, &content[at], sizeof bytes);
    std::memcpy(&before, &content[at - kDeltaStride], sizeof before);
    bytes -= before;
    std::memcpy(delta + at, &bytes, sizeof bytes);
  }
  for (; at < content.size(); ++at) {
    delta[at] = static_cast<char>(content[at] - content[at - kDeltaStride]);
  }
}

void from_delta(char* bytes, std::size_t size) {
  Some sums[kDeltaStride / sizeof(Some)] = {};
  std::size_t at = 0;
  for (; at + kDeltaStride <= size; at += kDeltaStride) {
    Some some[std::size(sums)];
    std::memcpy(some, bytes + at, sizeof some);
    for (std::size_t i = 0; i < std::size(sums); ++i) sums[i] += some[i];
    std::memcpy(bytes + at, sums, sizeof sums);
  }
  for (; at >= kDeltaStride && at < size; ++at) {
    bytes[at] = static_cast<char>(bytes[at] + bytes[at - kDeltaStride]);
  }
}

Compressed compress_content(std::string content, int zstd_level) {
  thread_local std::string room, other;  // of this thread: new memory for each chunk is slow
  auto way = choose(content, zstd_level, room);
  const bool delta = way.codec == ChunkCodec::zstd_delta;
  auto size = compress(delta ? delta_of(content) : content, way.level, room);
  // The sample was not like the rest.
  if ((delta || way.level != zstd_level) && size / 2 > way.promised) {
    const auto plain = compress(content, zstd_level, other);
    if (plain < size) {
      std::swap(room, other);
      size = plain;
      way.codec = ChunkCodec::zstd;
    }
  }
  if (size >= content.size()) return {ChunkCodec::none, std::move(content)};
  return {way.codec, room.substr(0, size)};
}

bool decompress_content(ChunkCodec codec, std::string_view bytes, std::size_t size,
                        std::string& content) {
  auto* context = of_this_thread<ZSTD_DCtx>(&ZSTD_createDCtx, &ZSTD_freeDCtx);
  // ZSTD_decompressDCtx() takes any number of them.
  if (ZSTD_findFrameCompressedSize(bytes.data(), bytes.size()) != bytes.size()) return false;
  content.resize(size);
  const auto got =
      ZSTD_decompressDCtx(context, content.data(), content.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0 || got != size) return false;
  if (codec == ChunkCodec::zstd_delta) from_delta(content.data(), content.size());
  return true;
}

}  // namespace lifeboat::vault
