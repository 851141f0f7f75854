#include "vault/earlier_snapshot.hpp"

#include <algorithm>

namespace lifeboat::vault {

bool walked_before(std::string_view path, std::string_view other) {
  // '/' ends a part, and comes before all that a part may hold.
  auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
  return std::lexicographical_compare(path.begin(), path.end(), other.begin(), other.end(),
                                      [&](char a, char b) { return rank(a) < rank(b); });
}

EarlierSnapshot::EarlierSnapshot(Chunks& chunks, const std::string& name)
    : list_(SnapshotReader(chunks, name).list()) {}

const Entry* EarlierSnapshot::find(std::string_view path) {
  const Entry* entry = list_.front();
  while (entry != nullptr && walked_before(entry->path, path)) {
    list_.pop();
    entry = list_.front();
  }
  return entry != nullptr && entry->path == path ? entry : nullptr;
}

}  // namespace lifeboat::vault
