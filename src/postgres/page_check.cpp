#include "postgres/page_check.hpp"

#include <array>
#include <cstring>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "postgres/relation_file.hpp"

namespace lifeboat::postgres {
namespace {

constexpr std::size_t kShown = 5;
constexpr int kTries = 5;  // to meet a page that is not half written
// PageHeaderData of src/include/storage/bufpage.h.
constexpr std::size_t kChecksumAt = 8, kUpperAt = 14;

// 32 hashes, each of every 32nd word; FNV-1a with a shift, as one multiplication leaves high bits
// without influence.
constexpr std::size_t kHashes = 32;
constexpr std::uint32_t kPrime = 16777619;
constexpr std::array<std::uint32_t, kHashes> kBegin = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

__attribute__((target_clones("avx512f", "avx2", "default"))) std::uint32_t hash(const char* words,
                                                                                std::size_t rows) {
  auto sums = kBegin;
  std::array<std::uint32_t, kHashes> row{};
  for (std::size_t i = 0; i < rows + 2; ++i) {  // two rounds of zeros at the end
    if (i < rows) {
      std::memcpy(row.data(), words + i * sizeof row, sizeof row);
    } else {
      row.fill(0);
    }
    if (i == 0) row[kChecksumAt / 4] &= 0xffff0000u;
    for (std::size_t j = 0; j < kHashes; ++j) {
      const auto mixed = sums[j] ^ row[j];
      sums[j] = mixed * kPrime ^ (mixed >> 17);
    }
  }
  std::uint32_t all = 0;
  for (const auto sum : sums) all ^= sum;
  return all;
}

}  // namespace

std::uint16_t page_checksum(std::string_view page, std::uint32_t block) {
  const auto all = hash(page.data(), page.size() / (kHashes * 4)) ^ block;
  return static_cast<std::uint16_t>(all % 65535 + 1);
}

void PageCheck::begin(const std::string& path) {
  path_ = path;
  const auto segment = rules_.page_size == 0 ? std::nullopt : segment_of_relation(path);
  has_pages_ = segment.has_value();
  first_ = segment.value_or(0) * rules_.pages_a_segment;
}

// One that is new, all zeros, has none.
bool PageCheck::holds(std::string_view page, std::uint32_t block) const {
  const char* at = page.data();
  if (load_le<std::uint16_t>(at + kUpperAt) == 0) return true;
  const auto lsn = std::uint64_t{load_le<std::uint32_t>(at)} << 32 | load_le<std::uint32_t>(at + 4);
  return lsn >= rules_.begun.value ||
         page_checksum(page, block) == load_le<std::uint16_t>(at + kChecksumAt);
}

void PageCheck::look(std::uint64_t offset, std::string_view bytes,
                     const std::function<bool(std::uint64_t, std::string&)>& again) {
  if (!has_pages_) return;
  for (; bytes.size() >= rules_.page_size;
       bytes.remove_prefix(rules_.page_size), offset += rules_.page_size) {
    const auto block = first_ + static_cast<std::uint32_t>(offset / rules_.page_size);
    bool whole = holds(bytes.substr(0, rules_.page_size), block);
    page_.resize(rules_.page_size);
    for (int tries = 0; !whole && tries < kTries; ++tries) {
      whole = !again(offset, page_) || holds(page_, block);
    }
    if (whole) continue;
    if (found_.size() < kShown) found_.push_back({path_, block});
    ++count_;
  }
}

void PageCheck::expect_none() const {
  if (count_ == 0) return;
  std::string which;
  for (const auto& page : found_) {
    which += fmt::format("{}block {} of {}", which.empty() ? "" : ", ", page.block, page.path);
  }
  throw Error(Code::corrupt, "data directory",
              fmt::format("{} {} not match {} checksum: {}{}", count_,
                          count_ == 1 ? "page does" : "pages do", count_ == 1 ? "its" : "their",
                          which, count_ > found_.size() ? ", …" : ""),
              "PostgreSQL's own files are damaged, and no backup was made of them; points that "
              "are older hold them as they were. Which table it is: SELECT relname FROM pg_class "
              "WHERE pg_relation_filepath(oid) = '" +
                  path_of_relation(found_.front().path) + "'");
}

}  // namespace lifeboat::postgres
