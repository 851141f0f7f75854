#include "vault/used_content.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "vault/proof.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::vault {

UsedContent::UsedContent(const Vault& vault, const std::set<std::string>& absent,
                         const std::vector<std::string>& unwanted, const Cancel& cancel)
    : vault_(vault),
      cancel_(cancel),
      index_(std::make_shared<PackIndex>(PackIndex::load(vault, {}, cancel))),
      chunks_(vault, index_),
      used_(index_->packs().size()) {
  std::set<std::string> names(unwanted.begin(), unwanted.end());
  const auto known = damaged_packs(vault);
  std::set<std::string> damaged(known.begin(), known.end());
  for (const auto& pack : index_->packs()) {
    absent_.push_back(absent.count(pack.name) != 0);
    last_resort_.push_back(static_cast<std::uint8_t>((damaged.contains(pack.name) ? 2 : 0) +
                                                     (names.contains(pack.name) ? 1 : 0)));
  }
  for (const auto& bad : index_->unreadable()) {
    const bool is_bad = bad.error.code() == Code::corrupt;  // else it may be whole
    if (is_bad && !absent.contains(bad.name)) hopeless_.push_back({bad.name, bad.size, 0, {}});
  }
}

void UsedContent::mark(const Digest& digest) {
  auto places = index_->places(digest);
  lacks_chunks_ = lacks_chunks_ || places.empty();
  std::erase_if(places, [&](const PackPlace& place) { return absent_[place.pack]; });
  auto best = std::min_element(places.begin(), places.end(), [&](const auto& a, const auto& b) {
    return last_resort_[a.pack] < last_resort_[b.pack];
  });
  if (best != places.end()) used_[best->pack] = true;
}

void UsedContent::add(const RecoveryPoint& point) {
  while_doing("looking for what point " + point.id + " needs", [&] {
    for (const auto& id : snapshots_of(point)) {
      auto name = snapshot_name(vault_, id);
      if (!snapshots_.insert(name).second) continue;
      SnapshotReader reader(chunks_, name);
      for (const auto& page : reader.pages()) mark(page.digest);
      reader.for_each([&](const Entry& entry) {
        cancel_.check();
        for (const auto& chunk : entry.chunks) mark(chunk.digest);
      });
    }
  });
}

std::vector<PackInfo> UsedContent::unused_packs() const {
  std::vector<PackInfo> out;
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (!used_[i] && !absent_[i]) out.push_back(index_->packs()[i]);
  }
  if (lacks_chunks_) return out;
  out.insert(out.end(), hopeless_.begin(), hopeless_.end());
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

}  // namespace lifeboat::vault
