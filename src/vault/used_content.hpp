#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "vault/chunks.hpp"
#include "vault/pack_index.hpp"
#include "vault/points.hpp"

namespace lifeboat::vault {

// Which packs and snapshots points use. Memory: the index, a bit for each pack, one page of a
// snapshot. For one thread.
class UsedContent {
 public:
  // What lies only in packs of `absent` is used there, which is not marked: whoever named them
  // looks after them. A pack of `unwanted` is used only for what no other one holds, and one that a
  // verify found damaged only for what no whole one holds.
  UsedContent(const Vault& vault, const std::set<std::string>& absent,
              const std::vector<std::string>& unwanted, const Cancel& cancel);

  // Reads the lists of its snapshots. Error when one can't be read: what it uses is not known.
  void add(const RecoveryPoint& point);

  // Packs that were there and are not used. One with a damaged footer is of no use to anybody, but
  // as long as a point lacks a chunk it may lie there, and the pack is left alone.
  std::vector<PackInfo> unused_packs() const;
  bool uses_snapshot(const std::string& name) const { return snapshots_.count(name) != 0; }

 private:
  void mark(const Digest& digest);

  const Vault& vault_;
  const Cancel& cancel_;
  std::shared_ptr<PackIndex> index_;
  Chunks chunks_;                          // to read the lists
  std::vector<bool> used_;                 // of each pack
  std::vector<bool> absent_;               // likewise
  std::vector<std::uint8_t> last_resort_;  // likewise: the one with the least is used
  std::vector<PackInfo> hopeless_;         // nothing can be read of these
  std::set<std::string> snapshots_;
  bool lacks_chunks_ = false;
};

}  // namespace lifeboat::vault
