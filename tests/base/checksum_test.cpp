#include "base/checksum.hpp"

#include <gtest/gtest.h>

#include "base/checksum_trail.hpp"
#include "base/crc32c_ways.hpp"
#include "base/random.hpp"
#include "base/sha256_ways.hpp"

namespace lifeboat {
namespace {

// Bit by bit, as RFC 3720 defines it.
std::uint32_t plainly(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
  for (char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

std::string noise(std::size_t size) {
  Random random(7);
  std::string out;
  while (out.size() < size) out += static_cast<char>(random.below(256));
  return out;
}

TEST(Crc32c, IsThatOfTheStandard) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32c, EveryWayGivesWhatBitsGive) {
  const auto bytes = noise(40'000);
  const std::string_view all(bytes);
  for (std::size_t size : {0, 1, 7, 8, 9, 255, 511, 512, 513, 767, 768, 1025, 2048, 6143, 6144,
                           6145, 12'287, 12'288, 20'001}) {
    for (std::size_t from : {0, 1, 5}) {
      const auto part = all.substr(from, size);
      const auto expected = plainly(part, 0x12345678u);
      for (const auto way : crc32c_ways()) {
        EXPECT_EQ(way(part, 0x12345678u), expected) << size << " from " << from;
      }
    }
  }
}

// Of `count` messages: lengths around those of blocks, and much longer ones among short ones.
std::vector<std::string_view> messages(std::string_view bytes, std::size_t count, Random& random) {
  std::vector<std::string_view> out;
  while (out.size() < count) {
    const std::uint64_t most[] = {3, 130, 1'000, bytes.size()};
    const auto size = random.below(most[random.below(std::size(most))]);
    out.push_back(bytes.substr(random.below(bytes.size() - size), size));
  }
  return out;
}

TEST(Sha256, EveryWayGivesThatOfEachMessage) {
  const auto bytes = noise(40'000);
  Random random(11);
  for (std::size_t count = 0; count < 80; ++count) {
    const auto some = messages(bytes, count, random);
    for (const auto way : sha256_ways()) {
      const auto digests = way(some);
      ASSERT_EQ(digests.size(), count);
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(digests[i], sha256(some[i])) << i << " of " << count << ", " << some[i].size();
      }
    }
  }
}

TEST(Sha256, OfManyLongMessagesEachHasItsOwn) {
  const auto bytes = noise(2'100'000);
  std::vector<std::string_view> some;
  for (std::size_t i = 0; i < 18; ++i) some.push_back(std::string_view(bytes).substr(i, 1u << 20));
  for (const auto way : sha256_ways()) {
    const auto digests = way(some);
    for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(digests[i], sha256(some[i])) << i;
  }
}

TEST(Sha256, IsThatOfTheStandard) {  // FIPS 180-2, B.1
  const std::vector<std::string_view> some = {"abc", ""};
  for (const auto way : sha256_ways()) {
    EXPECT_EQ(way(some)[0].hex(),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(way(some)[1].hex(),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  }
}

TEST(ChecksumTrail, KnowsEveryPart) {
  const auto bytes = noise(100'000);
  const std::string_view all(bytes);
  Random random(7);
  ChecksumTrail trail;
  for (int round = 0; round < 2; ++round) {  // the second time as if it were new
    trail.restart();
    for (std::size_t have = 0; have < all.size();) {
      const auto piece = all.substr(have, 1 + random.below(40'000));
      trail.add(piece);
      have += piece.size();
    }
    for (int i = 0; i < 500; ++i) {
      const auto from = random.below(all.size() + 1);
      const auto part = all.substr(from, random.below(all.size() + 1));
      ASSERT_EQ(trail.of(part), crc32c(part)) << part.size() << " from " << from;
    }
  }
  for (std::size_t from : {0, 16'384, 32'768}) {
    for (std::size_t size : {16'384, 32'768, 49'152}) {
      EXPECT_EQ(trail.of(all.substr(from, size)), crc32c(all.substr(from, size)));
    }
  }
}

// A batch is checked by what came, not by what lies there when it is asked for.
TEST(ChecksumTrail, TellsOfAnyByteThatDiffers) {
  auto bytes = noise(70'000);
  const auto right = crc32c(std::string_view(bytes).substr(100, 60'000));
  for (std::size_t at : {100, 16'383, 16'384, 40'000, 60'099}) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    ChecksumTrail trail;
    trail.add(bytes);
    EXPECT_NE(trail.of(std::string_view(bytes).substr(100, 60'000)), right) << at;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  }
}

TEST(Crc32c, CombinesWithoutReading) {
  const auto bytes = noise(30'000);
  const std::string_view all(bytes);
  for (std::size_t first : {0, 1, 21, 4096, 29'999, 30'000}) {
    const auto second = all.substr(first);
    EXPECT_EQ(crc32c_combine(crc32c(all.substr(0, first)), crc32c(second), second.size()),
              crc32c(all))
        << first;
  }
}

}  // namespace
}  // namespace lifeboat
