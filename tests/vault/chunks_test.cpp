#include "vault/chunks.hpp"

#include <zstd.h>

#include "store/full_store.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

struct ChunksTest : VaultTest {
  Chunks chunks{vault};
};

TEST_P(ChunksTest, RoundTrip) {
  for (std::string bytes : {std::string(), std::string("x"), std::string(1 << 20, 'z'),
                            noise(300'000, 1), noise(kMaxChunk.value, 2)}) {
    ChunkRef ref = chunks.put(bytes);
    EXPECT_EQ(ref.size.value, bytes.size());
    EXPECT_EQ(ref.digest, sha256(bytes));
    chunks.flush();
    EXPECT_EQ(chunks.get(ref), bytes);
    EXPECT_TRUE(Chunks(vault).has(ref.digest));
  }
  EXPECT_EQ(error_of([&] { chunks.put(std::string(kMaxChunk.value + 1, 'x')); }).code(),
            Code::failed);
}

TEST_P(ChunksTest, TheSameContentIsStoredOnce) {
  std::string bytes = noise(100'000, 3);
  chunks.put(bytes);
  chunks.put(bytes);
  chunks.flush();
  chunks.put(bytes);
  chunks.flush();
  Chunks later(vault);  // another run
  later.put_later(bytes).get();
  later.flush();
  EXPECT_EQ(objects_of(store, "packs/").size(), 1u);
  EXPECT_EQ(chunks.stats().chunks, 3u);
  EXPECT_EQ(chunks.stats().new_chunks, 1u);
  EXPECT_EQ(later.stats().new_chunks, 0u);
  EXPECT_EQ(later.stats().bytes.value, bytes.size());
}

TEST_P(ChunksTest, TextShrinksNoiseDoesNotGrow) {
  chunks.put(std::string(1 << 20, 'a'));
  EXPECT_LT(chunks.stats().stored_bytes.value, 1000u);
  Chunks other(vault);
  other.put(noise(1 << 20, 4));
  EXPECT_LE(other.stats().stored_bytes.value, (1u << 20) + 64);
}

TEST_P(ChunksTest, ManyAtATime) {
  std::vector<std::future<ChunkRef>> futures;
  for (std::uint64_t i = 0; i < 200; ++i) futures.push_back(chunks.put_later(noise(5000, i % 150)));
  chunks.flush();
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(chunks.get(futures[i].get()), noise(5000, i % 150));
  }
  EXPECT_EQ(chunks.stats().new_chunks, 150u);
  EXPECT_EQ(objects_of(store, "packs/").size(), 1u);
}

TEST_P(ChunksTest, PacksAreFilledToTheirSize) {
  ChunkOptions options;
  options.pack_size = ByteCount(50'000);
  Chunks small(vault, options);
  std::vector<ChunkRef> refs;
  for (std::uint64_t i = 0; i < 100; ++i) refs.push_back(small.put(noise(5000, i)));
  small.flush();
  auto packs = objects_of(store, "packs/");
  EXPECT_EQ(packs.size(), 10u);
  for (const auto& pack : packs) EXPECT_LT(pack.size.value, 60'000u);
  EXPECT_EQ(small.stats().packs, 10u);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(chunks.get(refs[i]), noise(5000, i));
}

TEST_P(ChunksTest, WithoutThreadsItIsTheSame) {
  ChunkOptions options;
  options.threads = 0;
  options.pack_size = ByteCount(20'000);
  Chunks alone(vault, options);
  auto ref = alone.put_later(noise(15'000, 1)).get();
  for (std::uint64_t i = 2; i < 10; ++i) alone.put(noise(5000, i));
  alone.flush();
  auto opened = alone.open_later(alone.fetch(std::span(&ref, 1), ByteCount(1)));
  EXPECT_EQ(opened.front().get().bytes, noise(15'000, 1));
}

// They are hashed together: one that is not what it was must not be taken for another's.
TEST_P(ChunksTest, OfManyThatAreOpenedAtOnceTheDamagedOneIsTold) {
  ChunkOptions options;
  options.threads = 0;
  Chunks writer(vault, options);
  std::vector<ChunkRef> refs;
  std::vector<std::string> contents;
  for (std::uint64_t i = 0; i < 20; ++i) {
    contents.push_back(noise(5000 + 100 * i, i));
    refs.push_back(writer.put(contents.back()));
  }
  writer.flush();
  for (std::size_t bad : {std::size_t{0}, std::size_t{7}, std::size_t{19}}) {
    damage_chunk(refs[bad].digest);
    Chunks damaged(vault);
    auto opened = damaged.open_later(damaged.fetch(refs, ByteCount(1 << 20)));
    for (std::size_t i = 0; i < refs.size(); ++i) {
      if (i == bad) {
        EXPECT_EQ(error_of([&] { opened[i].get(); }).code(), Code::corrupt) << i;
      } else {
        EXPECT_EQ(opened[i].get().bytes, contents[i]) << i;
      }
    }
    damage_chunk(refs[bad].digest);  // back
  }
}

// What was put before an error may be gone: nobody may go on as if it were there.
TEST_P(ChunksTest, AFullDiskIsToldByEveryLaterCall) {
  store::FullStore full(store, ByteCount(20'000));
  ChunkOptions options;
  options.pack_size = ByteCount(10'000);
  Chunks there(open(full), options);
  there.put(noise(10'000, 1));
  EXPECT_NO_THROW(there.flush());
  there.put(noise(15'000, 2));
  EXPECT_EQ(error_of([&] { there.flush(); }).code(), Code::no_space);
  full.add_room(ByteCount(20'000));
  EXPECT_EQ(error_of([&] { there.flush(); }).code(), Code::no_space);
  EXPECT_EQ(error_of([&] { there.put("another"); }).code(), Code::no_space);
  Chunks again(open(full), options);
  auto ref = again.put(noise(15'000, 2));
  again.flush();
  EXPECT_EQ(again.get(ref), noise(15'000, 2));
}

TEST_P(ChunksTest, MissingIsNamed) {
  ChunkRef ref{sha256("nowhere"), ByteCount(7)};
  auto error = error_of([&] { chunks.get(ref); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_NE(error.subject().find(ref.digest.hex()), std::string::npos);
}

TEST_P(ChunksTest, AWrongSizeInTheReferenceIsRefused) {
  ChunkRef ref = chunks.put("hello");
  chunks.flush();
  for (std::uint64_t size : {0u, 4u, 6u, 16u << 20, 17u << 20}) {
    ref.size = ByteCount(size);
    EXPECT_EQ(error_of([&] { chunks.get(ref); }).code(), Code::corrupt) << size;
  }
}

// Counts as missing: a pruner is about to take the pack away.
TEST_P(ChunksTest, WhatAnAbsentPackHoldsIsStoredAnew) {
  auto ref = chunks.put("hello");
  chunks.flush();
  auto first = objects_of(store, "packs/").at(0).name;
  ChunkOptions options;
  options.absent = {first};
  Chunks later(vault, options);
  EXPECT_FALSE(later.has(ref.digest));
  later.put("hello");
  later.flush();
  EXPECT_EQ(objects_of(store, "packs/").size(), 2u);
  store.remove(first);
  EXPECT_EQ(chunks.get(ref), "hello");  // it looks again
}

TEST_P(ChunksTest, OfTwoCopiesTheWholeOneIsRead) {
  for (int copy = 0; copy < 2; ++copy) {
    auto ref = chunks.put("hello");
    chunks.flush();
    auto first = objects_of(store, "packs/").at(0).name;
    ChunkOptions options;
    options.absent = {first};
    Chunks(vault, options).put("hello");
    Chunks second(vault, options);
    second.put("hello");
    second.flush();
    damage_chunk(ref.digest);
    EXPECT_EQ(Chunks(vault).get(ref), "hello");
  }
}

// A well-formed pack, of content that is hostile.
void plant(const Vault& vault, Random& random, const Digest& digest, std::uint32_t size,
           const std::string& data, ChunkCodec codec) {
  PackBuilder pack(make_pack_name(Timestamp(0), random), vault.sealing());
  pack.add({digest, size, codec, data});
  std::string object;
  for (auto part : pack.finish()) object += part;
  vault.store().put(pack.name(), object);
}

TEST_P(ChunksTest, ZipBombsAndLiesAboutSizeAreRefused) {
  std::string large(20u << 20, 'a');
  std::string bomb(ZSTD_compressBound(large.size()), '\0');
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), large.data(), large.size(), 1));
  auto expect_refused = [&](const std::string& content, std::uint32_t size, const std::string& data,
                            ChunkCodec codec) {
    ChunkRef ref{sha256(content), ByteCount(content.size())};
    plant(vault, random, ref.digest, size, data, codec);
    try {
      EXPECT_EQ(Chunks(vault).get(ref), content);  // only the pack's word for its size was wrong
      EXPECT_LE(content.size(), kMaxChunk.value);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::corrupt || error.code() == Code::not_found ||
                  (codec > ChunkCodec::zstd_delta && error.code() == Code::unsupported))
          << error.what();
    }
    const auto report = verify_all();
    const bool is_known = codec <= ChunkCodec::zstd_delta;
    EXPECT_EQ(report.good(), !is_known) << size;  // what a newer Lifeboat wrote is no damage
    EXPECT_EQ(report.unread.empty(), is_known) << size;
    for (const auto& pack : objects_of(store, "packs/")) store.remove(pack.name);
  };
  for (std::uint32_t size : {0u, 100u, 16u << 20, 20u << 20, 0xffffffffu}) {
    expect_refused(large, size, bomb, ChunkCodec::zstd);
    expect_refused(large, size, bomb, ChunkCodec::zstd_delta);
  }
  expect_refused("abc", 3, "abd", ChunkCodec::none);
  expect_refused("abc", 4, "abc", ChunkCodec::none);
  expect_refused("abc", 3, "abc", static_cast<ChunkCodec>(3));
  expect_refused("abc", 3, "abc", ChunkCodec::zstd);
  expect_refused("abc", 3, "abc", ChunkCodec::zstd_delta);
}

LIFEBOAT_ON_BOTH_KINDS(ChunksTest);

}  // namespace
}  // namespace lifeboat::vault
