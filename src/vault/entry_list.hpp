#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vault/snapshot.hpp"
#include "vault/snapshot_format.hpp"

namespace lifeboat::vault {

// The list of entries of a snapshot, from its beginning, entry by entry. For one thread at a time.
// Memory: one page of it, and an entry.
class EntryList {
 public:
  // `snapshot`, by the name of its object, has `entries` with `bytes` of data in all. `chunks`
  // must outlive it. Errors as SnapshotReader's, of the other calls too.
  EntryList(Chunks& chunks, std::string snapshot, std::vector<ChunkRef> pages,
            std::uint64_t entries, ByteCount bytes);
  EntryList(const EntryList&) = delete;
  EntryList& operator=(const EntryList&) = delete;

  // nullptr: there are no more. Valid until the next call.
  const Entry* front();
  void pop();
  std::optional<Entry> next();  // both

 private:
  void read_page();

  Chunks& chunks_;
  const std::string snapshot_;
  const std::vector<ChunkRef> pages_;
  const std::uint64_t entries_;
  const ByteCount bytes_;
  std::size_t pages_read_ = 0;
  std::optional<Entry> front_;
  EntryParser parser_;
};

}  // namespace lifeboat::vault
