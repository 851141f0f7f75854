#include <immintrin.h>

#include <array>
#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/crc32c_ways.hpp"

namespace lifeboat {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78u;  // Castagnoli, bits reflected

// Polynomials over GF(2) modulo Castagnoli's, bit 31 the coefficient of x^0.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    if ((a & 0x80000000u) != 0) product ^= b;
    b = (b >> 1) ^ (kPolynomial & (0u - (b & 1)));
  }
  return product;
}

constexpr std::uint32_t x_to_the(std::uint64_t n) {
  std::uint32_t product = 0x80000000u;
  for (std::uint32_t square = 0x40000000u; n != 0; n >>= 1, square = multiply(square, square)) {
    if ((n & 1) != 0) product = multiply(product, square);
  }
  return product;
}

// x^(8 n): what appending n zero bytes multiplies a state with.
std::uint32_t zero_bytes(std::uint64_t n) {
  static const auto powers = [] {  // [i][k]: x^(8 * k * 256^i)
    std::array<std::array<std::uint32_t, 256>, 8> all{};
    std::uint32_t one = 0x00800000u;
    for (auto& row : all) {
      row[0] = 0x80000000u;
      for (std::size_t k = 1; k < row.size(); ++k) row[k] = multiply(row[k - 1], one);
      one = multiply(row.back(), one);
    }
    return all;
  }();
  std::uint32_t product = 0x80000000u;
  for (std::size_t i = 0; n != 0; n >>= 8, ++i) {
    if ((n & 255) != 0) product = multiply(powers[i][n & 255], product);
  }
  return product;
}

// Multiplies states by one constant, a byte of the state at a time.
class Shift {
 public:
  explicit Shift(std::size_t bytes) {
    const auto by = zero_bytes(bytes);
    for (std::uint32_t i = 0; i < 256; ++i) {
      for (std::size_t byte = 0; byte < 4; ++byte) table_[byte][i] = multiply(i << (8 * byte), by);
    }
  }
  std::uint64_t operator()(std::uint64_t state) const {
    return table_[0][state & 255] ^ table_[1][(state >> 8) & 255] ^ table_[2][(state >> 16) & 255] ^
           table_[3][(state >> 24) & 255];
  }

 private:
  std::array<std::array<std::uint32_t, 256>, 4> table_;
};

constexpr std::size_t kStripe = 2048;

__attribute__((target("sse4.2"))) std::uint64_t by_words(std::uint64_t crc,
                                                         std::string_view bytes) {
  const char* p = bytes.data();
  std::size_t n = bytes.size();
  for (; n >= 8; n -= 8, p += 8) crc = _mm_crc32_u64(crc, load_le<std::uint64_t>(p));
  auto tail = static_cast<std::uint32_t>(crc);
  for (; n > 0; --n, ++p) tail = _mm_crc32_u8(tail, static_cast<unsigned char>(*p));
  return tail;
}

// The instruction's result comes after three cycles, a new one may begin in each: three stripes at
// a time, put together at the end of each triple.
__attribute__((target("sse4.2"))) std::uint32_t by_stripes(std::string_view bytes,
                                                           std::uint32_t crc) {
  static const Shift over_stripe(kStripe);
  std::uint64_t c = static_cast<std::uint32_t>(~crc);
  for (; bytes.size() >= 3 * kStripe; bytes.remove_prefix(3 * kStripe)) {
    std::uint64_t c1 = 0;
    std::uint64_t c2 = 0;
    for (const char* at = bytes.data(); at != bytes.data() + kStripe; at += 8) {
      c = _mm_crc32_u64(c, load_le<std::uint64_t>(at));
      c1 = _mm_crc32_u64(c1, load_le<std::uint64_t>(at + kStripe));
      c2 = _mm_crc32_u64(c2, load_le<std::uint64_t>(at + 2 * kStripe));
    }
    c = over_stripe(over_stripe(c) ^ c1) ^ c2;
  }
  return ~static_cast<std::uint32_t>(by_words(c, bytes));
}

// Folding (Gopal et al., Intel 2009): 128 bits multiplied by x^(8 d) modulo the polynomial are
// added to the 128 bits that lie d bytes further on; what is left at the end is a message with the
// same checksum. Sixteen at a time, in eight registers. A product of reflected halves is one bit
// short, and a factor of 32 bits stands 32 bits too high: hence the 33.
constexpr std::size_t kFold = 256;
constexpr long long kFarHalf = x_to_the(8 * kFold + 64 - 33);
constexpr long long kNearHalf = x_to_the(8 * kFold - 33);

__attribute__((target("avx2,vpclmulqdq,sse4.2"))) std::uint32_t by_folding(std::string_view bytes,
                                                                           std::uint32_t crc) {
  if (bytes.size() < 2 * kFold) return by_stripes(bytes, crc);
  constexpr std::size_t kWide = sizeof(__m256i);
  const auto load = [&](std::size_t i) __attribute__((target("avx2"))) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes.data() + i * kWide));
  };
  __m256i state[kFold / kWide];
  for (std::size_t i = 0; i < std::size(state); ++i) state[i] = load(i);
  state[0] =
      _mm256_xor_si256(state[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128(static_cast<int>(~crc))));
  const auto factor = _mm256_set_epi64x(kNearHalf, kFarHalf, kNearHalf, kFarHalf);
  for (bytes.remove_prefix(kFold); bytes.size() >= kFold; bytes.remove_prefix(kFold)) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < std::size(state); ++i) {
      const auto far = _mm256_clmulepi64_epi128(state[i], factor, 0x00);
      const auto near = _mm256_clmulepi64_epi128(state[i], factor, 0x11);
      state[i] = _mm256_xor_si256(_mm256_xor_si256(far, near), load(i));
    }
  }
  std::array<char, kFold> left;
  std::memcpy(left.data(), state, left.size());
  return ~static_cast<std::uint32_t>(by_words(by_words(0, {left.data(), left.size()}), bytes));
}

std::uint32_t by_bits(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
  for (char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (kPolynomial & (0u - (crc & 1)));
  }
  return ~crc;
}

}  // namespace

std::vector<Crc32cWay> crc32c_ways() {
  std::vector<Crc32cWay> ways;
  const bool words = __builtin_cpu_supports("sse4.2") != 0;
  const bool folds =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
  if (words && folds) ways.push_back(by_folding);
  if (words) ways.push_back(by_stripes);
  ways.push_back(by_bits);
  return ways;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
  static const auto best = crc32c_ways().front();
  return best(bytes, crc);
}

std::uint32_t crc32c_combine(std::uint32_t first, std::uint32_t second, std::uint64_t second_size) {
  return multiply(zero_bytes(second_size), first) ^ second;
}

}  // namespace lifeboat
