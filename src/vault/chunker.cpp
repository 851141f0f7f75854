#include "vault/chunker.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.hpp"
#include "vault/crypto.hpp"
#include "vault/sealing.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::string_view kWhat = "lifeboat chunks";
constexpr std::string_view kPlain = "plain vault";  // whose key is no secret

// The hash's upper bits depend on more bytes than the lower ones.
std::uint64_t mask(int bits) {
  return bits <= 0 ? 0 : ~std::uint64_t{0} << (64 - bits);
}

}  // namespace

GearTable make_gear_table(const Sealing* sealing) {
  std::string_view key = sealing != nullptr ? sealing->vault_key().view() : kPlain;
  auto id = sealing != nullptr ? sealing->vault_id() : std::string(kPlain);
  auto secret = hkdf_sha256(key, id, kWhat);
  GearTable table{};
  constexpr std::size_t per_digest = sizeof(Digest::bytes) / sizeof(std::uint64_t);
  for (std::size_t i = 0; i < table.size(); i += per_digest) {
    std::string counter;
    append_le<std::uint32_t>(counter, static_cast<std::uint32_t>(i));
    auto digest = hmac_sha256(secret.view(), counter);
    std::memcpy(&table[i], digest.bytes.data(), digest.bytes.size());
  }
  return table;
}

ContentChunker::ContentChunker(const GearTable& table, ChunkSizes sizes)
    : table_(table), sizes_(sizes) {
  int bits = std::bit_width(sizes.mean) - 1;
  mask_before_ = mask(bits + 2);
  mask_after_ = mask(bits - 2);
}

void ContentChunker::begin() {
  hash_ = 0;
  length_ = 0;
}

std::size_t ContentChunker::feed(std::string_view bytes, bool& end) {
  end = false;
  std::size_t i = 0;
  if (length_ < sizes_.least) i = std::min<std::size_t>(bytes.size(), sizes_.least - length_);
  auto hash = hash_;
  auto scan = [&](std::uint64_t until, std::uint64_t mask) {
    auto stop = until <= length_ ? i : std::min<std::size_t>(bytes.size(), until - length_);
    for (; i < stop; ++i) {
      hash = (hash << 1) + table_[static_cast<unsigned char>(bytes[i])];
      if ((hash & mask) == 0) {
        ++i;
        return true;
      }
    }
    return false;
  };
  end = scan(sizes_.mean, mask_before_) || scan(sizes_.most, mask_after_) ||
        length_ + i >= sizes_.most;
  hash_ = hash;
  length_ += i;
  if (end) begin();
  return i;
}

}  // namespace lifeboat::vault
