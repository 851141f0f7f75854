#include "vault/used_content.hpp"

#include "base/error.hpp"
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
  for (const auto& pack : index_->packs()) {
    absent_.push_back(absent.count(pack.name) != 0);
    unwanted_.push_back(names.count(pack.name) != 0);
  }
}

void UsedContent::mark(const Digest& digest) {
  auto places = index_->places(digest);
  std::erase_if(places, [&](const PackPlace& place) { return absent_[place.pack]; });
  for (const auto& place : places) {
    if (!unwanted_[place.pack]) {
      used_[place.pack] = true;
      return;
    }
  }
  if (!places.empty()) used_[places.front().pack] = true;
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
  return out;
}

}  // namespace lifeboat::vault
