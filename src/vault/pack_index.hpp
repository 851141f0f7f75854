#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "vault/pack_format.hpp"

namespace lifeboat::vault {

class Vault;

struct PackInfo {
  std::string name;
  ByteCount size;  // of the object
  std::uint32_t chunks = 0;
  Salt salt;  // of a sealed one
};

// Where a chunk lies.
struct PackPlace {
  std::uint32_t pack = 0;  // index in packs()
  std::uint32_t offset = 0;
  std::uint32_t stored = 0;
  ChunkCodec codec = ChunkCodec::none;
  friend auto operator<=>(const PackPlace&, const PackPlace&) = default;
};

// Which chunk lies in which pack, from the packs' footers. A chunk may lie in several. Memory: 34
// bytes for each chunk in each pack (10 million: 325 MiB) and 120 for each pack; a chunk is known
// by the first 160 bits of its digest, who reads it compares all. One thread at a time.
class PackIndex {
 public:
  PackIndex() = default;
  // Of what packs there are now; those in `absent` are left out as if they were not there. Packs
  // whose footer is damaged or cannot be had are told of and hold nothing. Looks again when one was
  // deleted meanwhile. Error when the store does not answer for more than a few, or gives none.
  // Reads several footers at a time.
  static PackIndex load(const Vault& vault, const std::set<std::string>& absent,
                        const Cancel& cancel);

  // False: of some pack it is not known what it holds, and it may be had now.
  bool was_given_all() const;
  // Lists the packs: whether it is of those.
  bool is_current(const Vault& vault, const std::set<std::string>& absent) const;

  const std::vector<PackInfo>& packs() const { return packs_; }  // as loaded: in order of names
  std::uint64_t chunks() const;                                  // in packs, one for each place
  bool has(const Digest& digest) const;
  std::optional<PackPlace> find(const Digest& digest) const;  // the first of places()
  std::vector<PackPlace> places(const Digest& digest) const;  // by pack and offset
  // What find()'s place is counted by, 0 … chunks() - 1. Not after add().
  std::optional<std::uint64_t> number(const Digest& digest) const;

  void add(PackInfo pack, const std::vector<PackedChunk>& chunks);

  // is_damage() of the error's code tells whether it is damaged, or was not to be had.
  struct Unreadable {
    std::string name;
    ByteCount size;
    Error error;
  };
  const std::vector<Unreadable>& unreadable() const { return unreadable_; }

 private:
  static PackIndex load_once(const Vault& vault, const std::set<std::string>& absent,
                             const Cancel& cancel, bool& gone);
  // 32 bytes; in order of digest, then of place.
  struct Entry {
    std::array<unsigned char, 20> digest;
    std::uint32_t pack;
    std::uint32_t offset;
    std::uint32_t stored_and_codec;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };
  static constexpr std::size_t kBuckets = 4096;
  using Bucket = std::deque<Entry>;  // grows without being moved, and leaves no holes behind

  static std::size_t bucket_of(const Digest& digest);
  std::pair<Bucket::const_iterator, Bucket::const_iterator> range(const Digest& digest) const;
  void append(std::uint32_t pack, const PackedChunk& chunk);
  void refuse_if_none_was_given() const;
  void sort();

  std::vector<PackInfo> packs_;
  std::vector<std::unique_ptr<Bucket>> buckets_{kBuckets};  // nullptr: nothing in it
  std::vector<std::uint64_t> before_ = std::vector<std::uint64_t>(kBuckets);  // each bucket
  std::vector<Unreadable> unreadable_;
};

// Every pack in the store; what has another name below packs/ is told to `stray`.
struct ListedPack {
  std::string name;
  ByteCount size;
};
std::vector<ListedPack> list_packs(const Vault& vault,
                                   const std::function<void(const std::string&)>& stray = {});

}  // namespace lifeboat::vault
