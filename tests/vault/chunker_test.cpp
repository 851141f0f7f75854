#include "vault/chunker.hpp"

#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

constexpr ChunkSizes kSizes{256, 1024, 4096};

std::vector<std::size_t> lengths(const GearTable& table, std::string_view bytes, std::size_t step,
                                 ChunkSizes sizes = kSizes) {
  ContentChunker chunker(table, sizes);
  std::vector<std::size_t> out(1);
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, step);
    bool end = false;
    auto taken = chunker.feed(piece, end);
    EXPECT_LE(taken, piece.size());
    EXPECT_TRUE(end || taken == piece.size());
    out.back() += taken;
    if (end) out.push_back(0);
    bytes.remove_prefix(taken);
  }
  return out;
}

TEST(Chunker, PiecesOfAnySizeGiveTheSameChunks) {
  auto table = make_gear_table(nullptr);
  auto bytes = noise(200'000, 1);
  auto whole = lengths(table, bytes, bytes.size());
  for (std::size_t step : {1u, 7u, 255u, 256u, 257u, 1024u, 5000u}) {
    EXPECT_EQ(lengths(table, bytes, step), whole) << step;
  }
}

TEST(Chunker, LengthsAreWithinTheirBoundsAndAroundTheMean) {
  auto table = make_gear_table(nullptr);
  auto bytes = noise(2'000'000, 2);
  auto all = lengths(table, bytes, 4096);
  std::size_t sum = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    sum += all[i];
    EXPECT_LE(all[i], kSizes.most);
    EXPECT_TRUE(i + 1 == all.size() || all[i] >= kSizes.least);
  }
  EXPECT_EQ(sum, bytes.size());
  EXPECT_GT(all.size(), bytes.size() / kSizes.mean / 2);
  EXPECT_LT(all.size(), bytes.size() / kSizes.mean * 2);
}

// Bytes without any variety never end a chunk by their hash: its largest size does.
TEST(Chunker, ZerosAreCutAtTheLargestSize) {
  auto table = make_gear_table(nullptr);
  std::string zeros(50'000, '\0');
  auto all = lengths(table, zeros, 999);
  for (std::size_t i = 0; i + 1 < all.size(); ++i) EXPECT_LE(all[i], kSizes.most);
}

TEST(Chunker, AnotherKeyCutsElsewhere) {
  auto bytes = noise(100'000, 3);
  std::set<std::vector<std::size_t>> all;
  for (char key : {'a', 'b'}) {
    Sealing sealing(Secret(std::string(kKeySize, key)), "the vault");
    all.insert(lengths(make_gear_table(&sealing), bytes, bytes.size()));
  }
  all.insert(lengths(make_gear_table(nullptr), bytes, bytes.size()));
  EXPECT_EQ(all.size(), 3u);
}

}  // namespace
}  // namespace lifeboat::vault
