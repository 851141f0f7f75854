#include "base/checksum.hpp"

#include <nmmintrin.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "base/bytes.hpp"
#include "base/error.hpp"

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

// The instruction's result comes after three cycles, a new one may begin in each: three stripes at
// a time, put together at the end of each triple.
__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(std::string_view bytes,
                                                                std::uint32_t crc) {
  static const Shift over_stripe(kStripe);
  std::uint64_t c = static_cast<std::uint32_t>(~crc);
  const char* p = bytes.data();
  std::size_t n = bytes.size();
  for (; n >= 3 * kStripe; n -= 3 * kStripe, p += 3 * kStripe) {
    std::uint64_t c1 = 0;
    std::uint64_t c2 = 0;
    for (const char* at = p; at != p + kStripe; at += 8) {
      c = _mm_crc32_u64(c, load_le<std::uint64_t>(at));
      c1 = _mm_crc32_u64(c1, load_le<std::uint64_t>(at + kStripe));
      c2 = _mm_crc32_u64(c2, load_le<std::uint64_t>(at + 2 * kStripe));
    }
    c = over_stripe(over_stripe(c) ^ c1) ^ c2;
  }
  for (; n >= 8; n -= 8, p += 8) c = _mm_crc32_u64(c, load_le<std::uint64_t>(p));
  auto tail = static_cast<std::uint32_t>(c);
  for (; n > 0; --n, ++p) tail = _mm_crc32_u8(tail, static_cast<unsigned char>(*p));
  return ~tail;
}

std::uint32_t crc32c_software(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
  for (char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (kPolynomial & (0u - (crc & 1)));
  }
  return ~crc;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
  static const bool hardware = __builtin_cpu_supports("sse4.2") != 0;
  return hardware ? crc32c_hardware(bytes, crc) : crc32c_software(bytes, crc);
}

std::uint32_t crc32c_combine(std::uint32_t first, std::uint32_t second, std::uint64_t second_size) {
  return multiply(zero_bytes(second_size), first) ^ second;
}

std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out += digits[c >> 4];
    out += digits[c & 15];
  }
  return out;
}

std::string Digest::hex() const {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<Digest> Digest::parse(std::string_view hex) {
  if (hex.size() != 64) return std::nullopt;
  auto nibble = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  Digest d;
  for (std::size_t i = 0; i < 32; ++i) {
    int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    d.bytes[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return d;
}

Digest sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
    throw Error(Code::failed, "SHA-256", "OpenSSL cannot start a digest");
  }
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
    throw Error(Code::failed, "SHA-256", "OpenSSL cannot go on with a digest");
  }
}

Digest Sha256::finish() {
  Digest d;
  if (EVP_DigestFinal_ex(state_->context, d.bytes.data(), nullptr) != 1) {
    throw Error(Code::failed, "SHA-256", "OpenSSL cannot finish a digest");
  }
  return d;
}

}  // namespace lifeboat
