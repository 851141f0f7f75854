#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4), as Kafka's record batches use it. `crc` chains.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);
// That of two pieces put together, from theirs, without reading them.
std::uint32_t crc32c_combine(std::uint32_t first, std::uint32_t second, std::uint64_t second_size);

// SHA-256 (FIPS 180-4).
struct Digest {
  std::array<unsigned char, 32> bytes{};
  std::string hex() const;  // 64 lower-case digits
  static std::optional<Digest> parse(std::string_view hex);
  friend auto operator<=>(const Digest&, const Digest&) = default;
};
Digest sha256(std::string_view bytes);
// Those of many messages, each of some KiB. Faster than one by one: two times when they are sixteen
// and the processor knows AVX-512; a third when they are two and it knows the SHA extensions.
std::vector<Digest> sha256_each(std::span<const std::string_view> messages);
// How many are worth waiting for: 16, 2, or 1 when they are hashed one by one.
std::size_t sha256_at_once();

// SHA-256 of a stream. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  Digest finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat
