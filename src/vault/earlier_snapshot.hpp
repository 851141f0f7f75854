#pragma once

#include <string>
#include <string_view>

#include "vault/entry_list.hpp"

namespace lifeboat::vault {

// The order of a walk that takes each directory's entries by name: parts are compared, not bytes of
// whole paths. "a" < "a/b" < "a.c".
bool walked_before(std::string_view path, std::string_view other);

// The list of entries of a snapshot, for whoever goes through the same tree again in the order of
// walked_before(). Memory: that of EntryList.
class EarlierSnapshot {
 public:
  // By the name of its object; `chunks` must outlive it. Errors as SnapshotReader's, of find() too.
  EarlierSnapshot(Chunks& chunks, const std::string& name);
  // nullptr: it had no such entry. Valid until the next call. What is asked for out of order may
  // not be found.
  const Entry* find(std::string_view path);

 private:
  EntryList list_;
};

}  // namespace lifeboat::vault
