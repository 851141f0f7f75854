#include "vault/pack_index.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/thread.hpp"
#include "vault/damage.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kAtATime = 32;  // footers held while they are read
constexpr int kLooks = 3;             // more, while packs are deleted
constexpr unsigned kCodecAt = 30;     // in stored_and_codec; no chunk is that large
constexpr std::uint32_t kStored = (1u << kCodecAt) - 1;

struct FooterOrError {
  std::optional<PackFooter> footer;
  std::optional<Error> error;
};

// `away`: how often the store did not answer.
FooterOrError read_one(const Vault& vault, const ListedPack& pack, std::atomic<unsigned>& away) {
  try {
    return {read_pack_footer(vault, pack.name, pack.size), std::nullopt};
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    if (is_away(error.code()) && ++away > kMostAway) throw;
    return {{}, error};
  }
}

std::vector<FooterOrError> read_some(const Vault& vault, const ListedPack* packs, std::size_t count,
                                     std::atomic<unsigned>& away) {
  std::vector<FooterOrError> out(count);
  for_each_index(count, vault.store().calls_at_once(),
                 [&](std::size_t i) { out[i] = read_one(vault, packs[i], away); });
  return out;
}

std::vector<ListedPack> list_but(const Vault& vault, const std::set<std::string>& absent) {
  auto listed = list_packs(vault);
  std::erase_if(listed, [&](const ListedPack& pack) { return absent.contains(pack.name); });
  return listed;
}

}  // namespace

std::vector<ListedPack> list_packs(const Vault& vault,
                                   const std::function<void(const std::string&)>& stray) {
  std::vector<ListedPack> out;
  vault.store().list(std::string(kPackPrefix), [&](const store::ObjectInfo& info) {
    if (is_pack_name(info.name)) {
      out.push_back({info.name, info.size});
    } else if (stray) {
      stray(info.name);
    }
  });
  return out;
}

PackIndex PackIndex::load(const Vault& vault, const std::set<std::string>& absent,
                          const Cancel& cancel) {
  // What a pack held that is gone since it was listed may lie in one that came since.
  for (int left = kLooks;; --left) {
    bool gone = false;
    auto out = load_once(vault, absent, cancel, gone);
    if (!gone || left == 0) return out;
  }
}

PackIndex PackIndex::load_once(const Vault& vault, const std::set<std::string>& absent,
                               const Cancel& cancel, bool& gone) {
  PackIndex out;
  const auto listed = list_but(vault, absent);
  std::atomic<unsigned> away{0};
  for (std::size_t begin = 0; begin < listed.size(); begin += kAtATime) {
    cancel.check();
    auto some = read_some(vault, &listed[begin], std::min(kAtATime, listed.size() - begin), away);
    for (std::size_t i = 0; i < some.size(); ++i) {
      const auto& pack = listed[begin + i];
      if (some[i].footer) {
        const auto& footer = *some[i].footer;
        auto number = static_cast<std::uint32_t>(out.packs_.size());
        out.packs_.push_back(
            {pack.name, pack.size, static_cast<std::uint32_t>(footer.chunks.size()), footer.salt});
        for (const auto& chunk : footer.chunks) out.append(number, chunk);
      } else if (some[i].error->code() == Code::not_found) {
        gone = true;
      } else {
        out.unreadable_.push_back({pack.name, pack.size, *some[i].error});
      }
    }
  }
  out.refuse_if_none_was_given();
  out.sort();
  return out;
}

bool PackIndex::was_given_all() const {
  return std::all_of(unreadable_.begin(), unreadable_.end(),
                     [](const Unreadable& pack) { return is_damage(pack.error.code()); });
}

bool PackIndex::is_current(const Vault& vault, const std::set<std::string>& absent) const {
  std::vector<std::pair<std::string_view, ByteCount>> known, there;
  for (const auto& pack : packs_) known.emplace_back(pack.name, pack.size);
  for (const auto& pack : unreadable_) known.emplace_back(pack.name, pack.size);
  std::sort(known.begin(), known.end());
  const auto listed = list_but(vault, absent);
  for (const auto& pack : listed) there.emplace_back(pack.name, pack.size);
  return there == known;
}

// Who may read none has the wrong rights: a backup would store all of it anew each time.
void PackIndex::refuse_if_none_was_given() const {
  if (!packs_.empty() || unreadable_.empty()) return;
  for (const auto& one : unreadable_) {
    if (is_damage(one.error.code())) return;
  }
  throw unreadable_.front().error;
}

std::uint64_t PackIndex::chunks() const {
  std::uint64_t count = 0;
  for (const auto& bucket : buckets_) count += bucket ? bucket->size() : 0;
  return count;
}

std::size_t PackIndex::bucket_of(const Digest& digest) {
  return static_cast<std::size_t>(digest.bytes[0]) << 4 | digest.bytes[1] >> 4;
}

auto PackIndex::range(const Digest& digest) const
    -> std::pair<Bucket::const_iterator, Bucket::const_iterator> {
  static const Bucket none;
  const auto& its = buckets_[bucket_of(digest)];
  const auto& bucket = its ? *its : none;
  auto compare = [](const auto& entry, const unsigned char* wanted) {
    return std::memcmp(entry.digest.data(), wanted, entry.digest.size());
  };
  const auto* wanted = digest.bytes.data();
  auto first = std::partition_point(bucket.begin(), bucket.end(),
                                    [&](const Entry& entry) { return compare(entry, wanted) < 0; });
  auto last = first;
  while (last != bucket.end() && compare(*last, wanted) == 0) ++last;
  return {first, last};
}

bool PackIndex::has(const Digest& digest) const {
  auto [first, last] = range(digest);
  return first != last;
}

std::vector<PackPlace> PackIndex::places(const Digest& digest) const {
  std::vector<PackPlace> out;
  auto [first, last] = range(digest);
  for (; first != last; ++first) {
    out.push_back({first->pack, first->offset, first->stored_and_codec & kStored,
                   static_cast<ChunkCodec>(first->stored_and_codec >> kCodecAt)});
  }
  return out;
}

std::optional<PackPlace> PackIndex::find(const Digest& digest) const {
  auto all = places(digest);
  if (all.empty()) return std::nullopt;
  return all.front();
}

std::optional<std::uint64_t> PackIndex::number(const Digest& digest) const {
  auto [first, last] = range(digest);
  if (first == last) return std::nullopt;
  auto bucket = bucket_of(digest);
  return before_[bucket] + static_cast<std::uint64_t>(first - buckets_[bucket]->cbegin());
}

void PackIndex::append(std::uint32_t pack, const PackedChunk& chunk) {
  auto& bucket = buckets_[bucket_of(chunk.digest)];
  if (!bucket) bucket = std::make_unique<Bucket>();
  const auto codec = static_cast<std::uint32_t>(chunk.codec) << kCodecAt;
  Entry entry{{}, pack, chunk.offset, chunk.stored | codec};
  std::memcpy(entry.digest.data(), chunk.digest.bytes.data(), entry.digest.size());
  bucket->push_back(entry);
}

void PackIndex::sort() {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    before_[i] = count;
    if (!buckets_[i]) continue;
    std::sort(buckets_[i]->begin(), buckets_[i]->end());
    count += buckets_[i]->size();
  }
}

void PackIndex::add(PackInfo pack, const std::vector<PackedChunk>& chunks) {
  auto number = static_cast<std::uint32_t>(packs_.size());
  packs_.push_back(std::move(pack));
  for (const auto& chunk : chunks) {
    append(number, chunk);
    auto& bucket = *buckets_[bucket_of(chunk.digest)];
    auto at = std::upper_bound(bucket.begin(), bucket.end() - 1, bucket.back());
    std::rotate(at, bucket.end() - 1, bucket.end());
  }
}

}  // namespace lifeboat::vault
