#include "vault/pack_index.hpp"

#include <fstream>
#include <utility>

#include "store/forwarding_store.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

Digest digest_of(std::uint64_t i) {
  std::string bytes;
  append_le<std::uint64_t>(bytes, i);
  return sha256(bytes);
}

std::vector<PackedChunk> some_chunks(std::uint64_t from, std::uint64_t to) {
  std::vector<PackedChunk> out;
  for (auto i = from; i < to; ++i) {
    out.push_back({digest_of(i), static_cast<std::uint32_t>(i * 100), 100, 1000,
                   static_cast<ChunkCodec>(i % 3), 0});
  }
  return out;
}

TEST(PackIndex, FindsWhatWasAddedAndNothingElse) {
  PackIndex index;
  for (std::uint64_t pack = 0; pack < 20; ++pack) {
    index.add({"packs/" + std::to_string(pack), ByteCount(1), 500, {}},
              some_chunks(pack * 500, pack * 500 + 500));
  }
  EXPECT_EQ(index.chunks(), 10'000u);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    PackPlace place{static_cast<std::uint32_t>(i / 500), static_cast<std::uint32_t>(i * 100), 100,
                    static_cast<ChunkCodec>(i % 3)};
    EXPECT_EQ(index.find(digest_of(i)), place);
  }
  for (std::uint64_t i = 10'000; i < 11'000; ++i) EXPECT_FALSE(index.has(digest_of(i)));
}

TEST(PackIndex, AChunkInSeveralPacksHasSeveralPlaces) {
  PackIndex index;
  for (int pack = 0; pack < 3; ++pack) {
    index.add({std::to_string(pack), ByteCount(1), 2, {}}, some_chunks(5, 7));
  }
  auto places = index.places(digest_of(5));
  ASSERT_EQ(places.size(), 3u);
  for (std::uint32_t pack = 0; pack < 3; ++pack) EXPECT_EQ(places[pack].pack, pack);
}

using PackIndexTest = VaultTest;

TEST_P(PackIndexTest, NumbersAreDenseAndTheirOwn) {
  Chunks chunks(vault);
  std::vector<ChunkRef> refs;
  for (std::uint64_t i = 0; i < 3000; ++i) refs.push_back(chunks.put(noise(20, i)));
  chunks.flush();
  auto index = PackIndex::load(vault, {}, cancel);
  std::vector<bool> seen(index.chunks());
  for (const auto& ref : refs) {
    auto number = index.number(ref.digest).value();
    ASSERT_LT(number, seen.size());
    EXPECT_FALSE(seen[number]);
    seen[number] = true;
  }
  EXPECT_EQ(index.number(sha256("none")), std::nullopt);
}

// Deletes a pack when its footer is about to be read, as a pruner whose word was decided does.
class DeletesMeanwhile : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::function<void()> first;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override {
    if (auto now = std::exchange(first, nullptr)) now();
    return ForwardingStore::get_range(name, offset, length);
  }
  unsigned calls_at_once() const override { return 1; }
};

// What it held was stored anew before, in a pack that came after the list was read.
TEST_P(PackIndexTest, APackThatGoesWhileItIsReadLeavesItsChunksToAnother) {
  const auto content = noise(500, 1);
  Chunks chunks(vault);
  const auto ref = chunks.put(content);
  chunks.flush();
  const auto old = list_packs(vault).at(0).name;
  DeletesMeanwhile pruned(store);
  pruned.first = [&] {
    Chunks anew(vault, {.absent = {old}});
    anew.put(content);
    anew.flush();
    store.remove(old);
  };
  const auto index = PackIndex::load(open(pruned), {}, cancel);
  ASSERT_TRUE(index.find(ref.digest));
  EXPECT_EQ(index.packs().size(), 1u);
  EXPECT_NE(index.packs()[0].name, old);
}

LIFEBOAT_ON_BOTH_KINDS(PackIndexTest);

}  // namespace
}  // namespace lifeboat::vault
