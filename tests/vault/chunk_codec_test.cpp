// What becomes of content on its way into a pack and out of it.
#include "vault/chunk_codec.hpp"

#include <sys/resource.h>
#include <zstd.h>

#include <cstdlib>
#include <new>
#include <thread>
#include <utility>

#include "base/bytes.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMiB = 1 << 20;

// A page of 8 KiB as PostgreSQL's btree has it, its tuples from the end to the beginning: place in
// the table, length, key.
std::string index_page(std::uint32_t first_key, std::size_t tuple_size) {
  std::string page(8192, '\0');
  for (std::size_t i = 0; i < 24; ++i) page[i] = static_cast<char>(first_key >> (i % 3));
  const std::size_t tuples = 360 * 16 / tuple_size;
  for (std::size_t i = 0; i < tuples; ++i) {
    const auto key = first_key + static_cast<std::uint32_t>(i);
    const auto at = 8192 - 16 - (i + 1) * tuple_size;
    const std::uint32_t pointer = static_cast<std::uint32_t>(at) | 1u << 15 | tuple_size << 17;
    std::memcpy(&page[24 + 4 * i], &pointer, 4);
    std::string tuple;
    append_le<std::uint16_t>(tuple, static_cast<std::uint16_t>(key / 61 >> 16));
    append_le<std::uint16_t>(tuple, static_cast<std::uint16_t>(key / 61));
    append_le<std::uint16_t>(tuple, static_cast<std::uint16_t>(key % 61 + 1));
    append_le<std::uint16_t>(tuple, static_cast<std::uint16_t>(tuple_size));
    append_le<std::uint32_t>(tuple, key);
    tuple.resize(tuple_size);
    tuple.replace(tuple_size - 4, 4, tuple.substr(8, 4));
    page.replace(at, tuple_size, tuple);
  }
  return page;
}

std::string index_of(std::size_t tuple_size, std::size_t size = kMiB) {
  std::string out;
  for (std::uint32_t key = 1'000'000; out.size() < size; key += 367) {
    out += index_page(key, tuple_size);
  }
  return out;
}

std::string table(std::size_t size) {
  std::string out;
  for (int row = 0; out.size() < size; ++row) {
    std::string text = std::to_string(row);
    text.resize(128, ' ');
    out += text;
  }
  return out.substr(0, size);
}

std::string letters(std::size_t size) {
  Random random(3);
  std::string out;
  while (out.size() < size)
    out += static_cast<char>('a' + random.below(20) * random.below(20) / 20);
  return out;
}

std::size_t zstd_size(std::string_view content, int level = 1) {
  std::string out(ZSTD_compressBound(content.size()), '\0');
  return ZSTD_compress(out.data(), out.size(), content.data(), content.size(), level);
}

std::string opened(const Compressed& compressed, std::size_t size) {
  if (compressed.codec == ChunkCodec::none) return compressed.bytes;
  std::string content;
  EXPECT_TRUE(decompress_content(compressed.codec, compressed.bytes, size, content));
  return content;
}

TEST(ChunkCodec, WhatGoesInComesOut) {
  std::vector<std::string> contents{"", "a", std::string(kDeltaStride, 'x'),
                                    noise(kDeltaStride - 1, 1), noise(kMiB, 2)};
  for (std::size_t size : {kMiB / 4, kMiB / 4 + 1, kMiB, kMiB + 17, 4 * kMiB - 1}) {
    contents.push_back(std::string(size, '\0'));
    contents.push_back(table(size));
    contents.push_back(letters(size));
    for (std::size_t tuple : {16, 24}) contents.push_back(index_of(tuple, size).substr(0, size));
  }
  for (int level : {-1, 1, 3}) {
    for (const auto& content : contents) {
      const auto compressed = compress_content(content, level);
      EXPECT_EQ(opened(compressed, content.size()), content) << content.size();
      EXPECT_LE(compressed.bytes.size(), content.size());
      EXPECT_EQ(compress_content(content, level).bytes, compressed.bytes) << content.size();
    }
  }
}

TEST(ChunkCodec, ADeltaIsUndone) {
  for (std::size_t size = 0; size < 200; ++size) {
    const auto content = noise(size, size);
    std::string delta(size, '\0');
    to_delta(content, delta.data());
    for (std::size_t i = 0; i < size; ++i) {
      const auto before = i < kDeltaStride ? '\0' : content[i - kDeltaStride];
      ASSERT_EQ(delta[i], static_cast<char>(content[i] - before)) << i << " of " << size;
    }
    from_delta(delta.data(), size);
    EXPECT_EQ(delta, content) << size;
  }
}

TEST(ChunkCodec, AnIndexOfNumbersShrinksByItsDelta) {
  for (std::size_t tuple : {16, 24}) {
    const auto index = index_of(tuple);
    const auto compressed = compress_content(index, 1);
    EXPECT_EQ(compressed.codec, ChunkCodec::zstd_delta) << tuple;
    EXPECT_LT(compressed.bytes.size() * 5, zstd_size(index)) << tuple;
  }
}

TEST(ChunkCodec, OtherContentIsCompressedAsItIs) {
  EXPECT_EQ(compress_content(noise(kMiB, 1), 1).codec, ChunkCodec::none);
  EXPECT_EQ(compress_content(letters(kMiB), 1).codec, ChunkCodec::zstd);
  EXPECT_EQ(compress_content(letters(kMiB), 1).bytes.size(), zstd_size(letters(kMiB)));
  EXPECT_EQ(compress_content(table(kMiB), 1).codec, ChunkCodec::zstd);
  EXPECT_EQ(compress_content(table(100'000), 1).bytes.size(), zstd_size(table(100'000)));
}

// Where the sample lies it looks like something else.
TEST(ChunkCodec, AnUnusualMiddleCostsNothing) {
  for (const auto& middle : {index_of(16, 40'960), std::string(40'960, '\0')}) {
    auto content = letters(kMiB);
    content.replace(kMiB / 2, middle.size(), middle);
    const auto compressed = compress_content(content, 1);
    EXPECT_LE(compressed.bytes.size(), zstd_size(content));
    EXPECT_EQ(opened(compressed, content.size()), content);
  }
}

// As long as it lives, this process has no memory to give but small pieces: without those the C
// library itself ends the program.
class NoMoreMemory {
 public:
  NoMoreMemory() {
    ::getrlimit(RLIMIT_AS, &before_);
    const rlimit least{4096, before_.rlim_max};
    ::setrlimit(RLIMIT_AS, &least);
    for (std::size_t size = 64 * 1024; size >= 1024; size /= 2) {
      while (auto* block = static_cast<Block*>(std::malloc(size))) {
        block->next = std::exchange(taken_, block);
      }
    }
  }
  ~NoMoreMemory() {
    while (taken_ != nullptr) std::free(std::exchange(taken_, taken_->next));
    ::setrlimit(RLIMIT_AS, &before_);
  }
  NoMoreMemory(const NoMoreMemory&) = delete;
  NoMoreMemory& operator=(const NoMoreMemory&) = delete;

 private:
  struct Block {
    Block* next;
  };
  rlimit before_{};
  Block* taken_ = nullptr;
};

template <typename F>
bool runs_out_of_memory(F&& f) {
  try {
    f();
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

// What zstd works with is made by each thread when it needs it. Without it whole bytes must not be
// taken for damaged ones.
TEST(ChunkCodec, WithoutMemoryForZstdItIsNoDamageAndTheNextOneWorks) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs memory of its own";
#endif
  store::in_processes(1, [](int) {
    const std::string content(300, 'x');  // small pieces do for all the rest
    const auto packed = compress_content(content, 1);
    int wrong = 0;
    std::thread([&] {
      auto given = content;
      std::string back;
      {
        const NoMoreMemory none;
        wrong += !runs_out_of_memory([&] { compress_content(std::move(given), 1); });
        wrong += !runs_out_of_memory(
            [&] { decompress_content(packed.codec, packed.bytes, content.size(), back); });
      }
      wrong += compress_content(content, 1).bytes != packed.bytes;
      wrong += !decompress_content(packed.codec, packed.bytes, content.size(), back);
      wrong += back != content;
    }).join();
    return wrong;
  });
}

TEST(ChunkCodec, WhatIsNotOfThatSizeIsRefused) {
  const auto index = index_of(16);
  const auto good = compress_content(index, 1);
  std::string empty(64, '\0'), content;
  empty.resize(ZSTD_compress(empty.data(), empty.size(), "", 0, 1));
  for (auto codec : {ChunkCodec::zstd, ChunkCodec::zstd_delta}) {
    EXPECT_FALSE(decompress_content(codec, good.bytes, index.size() - 1, content));
    EXPECT_FALSE(decompress_content(codec, good.bytes, index.size() + 1, content));
    EXPECT_FALSE(decompress_content(codec, good.bytes.substr(1), index.size(), content));
    EXPECT_FALSE(decompress_content(codec, noise(100, 1), 100, content));
    // More than one frame: of nothing, and one to be skipped.
    for (const auto& more : {empty, std::string("\x50\x2a\x4d\x18\0\0\0\0", 8)}) {
      EXPECT_FALSE(decompress_content(codec, good.bytes + more, index.size(), content));
      EXPECT_FALSE(decompress_content(codec, more + good.bytes, index.size(), content));
    }
  }
}

}  // namespace
}  // namespace lifeboat::vault
