#include "base/checksum.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

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

TEST(Crc32c, StripesAndTailsGiveWhatBitsGive) {
  const auto bytes = noise(40'000);
  const std::string_view all(bytes);
  for (std::size_t size : {0, 1, 7, 8, 9, 2048, 6143, 6144, 6145, 12'287, 12'288, 20'001}) {
    for (std::size_t from : {0, 1, 5}) {
      const auto part = all.substr(from, size);
      EXPECT_EQ(crc32c(part, 0x12345678u), plainly(part, 0x12345678u)) << size << " from " << from;
    }
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
