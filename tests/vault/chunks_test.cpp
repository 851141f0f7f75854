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
  Chunks later(vault);  // another run
  later.put_later(bytes).get();
  EXPECT_EQ(objects_of(store, "chunks/").size(), 1u);
  EXPECT_EQ(chunks.stats().chunks, 2u);
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
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(chunks.get(futures[i].get()), noise(5000, i % 150));
  }
  EXPECT_EQ(objects_of(store, "chunks/").size(), 150u);
}

TEST_P(ChunksTest, AFullDiskIsToldByTheFuture) {
  store::FullStore full(store, ByteCount(20'000));
  Chunks there(open(full));
  auto fits = there.put_later(noise(10'000, 1));
  EXPECT_NO_THROW(fits.get());
  auto does_not = there.put_later(noise(15'000, 2));
  EXPECT_EQ(error_of([&] { does_not.get(); }).code(), Code::no_space);
  full.add_room(ByteCount(20'000));
  EXPECT_EQ(there.get(there.put(noise(15'000, 2))), noise(15'000, 2));
}

TEST_P(ChunksTest, MissingIsNamed) {
  ChunkRef ref{sha256("nowhere"), ByteCount(7)};
  auto error = error_of([&] { chunks.get(ref); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_NE(error.subject().find(vault.name_of(ref.digest).hex()), std::string::npos);
}

TEST_P(ChunksTest, AWrongSizeInTheReferenceIsRefused) {
  ChunkRef ref = chunks.put("hello");
  ref.size = ByteCount(4);
  EXPECT_EQ(error_of([&] { chunks.get(ref); }).code(), Code::corrupt);
}

// A well-formed object, of content that is hostile.
void plant(const Vault& vault, const Digest& digest, std::uint32_t size, const std::string& data,
           std::uint8_t flags) {
  std::string payload;
  append_le<std::uint32_t>(payload, size);
  std::string name = chunk_name(vault.name_of(digest));
  vault.store().put(name, seal(vault.sealing(), ObjectType::chunk, name, payload + data, flags));
}

TEST_P(ChunksTest, ZipBombsAndLiesAboutSizeAreRefused) {
  std::string large(20u << 20, 'a');
  std::string bomb(ZSTD_compressBound(large.size()), '\0');
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), large.data(), large.size(), 1));
  ChunkRef ref{sha256(large), ByteCount(large.size())};
  for (std::uint32_t size : {0u, 100u, 16u << 20, 20u << 20, 0xffffffffu}) {
    plant(vault, ref.digest, size, bomb, 1);
    EXPECT_EQ(error_of([&] { chunks.get(ref); }).code(), Code::corrupt) << size;
  }
  ChunkRef small{sha256("abc"), ByteCount(3)};
  plant(vault, small.digest, 3, "abd", 0);  // other content
  EXPECT_EQ(error_of([&] { chunks.get(small); }).code(), Code::corrupt);
  plant(vault, small.digest, 4, "abc", 0);
  EXPECT_EQ(error_of([&] { chunks.get(small); }).code(), Code::corrupt);
  plant(vault, small.digest, 3, "abc", 2);  // unknown flag
  EXPECT_EQ(error_of([&] { chunks.get(small); }).code(), Code::corrupt);
  plant(vault, small.digest, 3, "abc", 1);  // not zstd
  EXPECT_EQ(error_of([&] { chunks.get(small); }).code(), Code::corrupt);
}

LIFEBOAT_ON_BOTH_KINDS(ChunksTest);

}  // namespace
}  // namespace lifeboat::vault
