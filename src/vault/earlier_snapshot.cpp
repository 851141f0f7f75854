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
    : chunks_(chunks),
      reader_(chunks, name),
      parser_(name, [this](const Entry& entry) { ahead_.push_back(entry); }) {}

const Entry* EarlierSnapshot::find(std::string_view path) {
  const Entry* entry = front();
  while (entry != nullptr && walked_before(entry->path, path)) {
    ahead_.pop_front();
    entry = front();
  }
  return entry != nullptr && entry->path == path ? entry : nullptr;
}

const Entry* EarlierSnapshot::front() {
  while (ahead_.empty() && pages_read_ < reader_.pages().size()) {
    parser_.page(chunks_.get(reader_.pages()[pages_read_++]));
  }
  return ahead_.empty() ? nullptr : &ahead_.front();
}

}  // namespace lifeboat::vault
