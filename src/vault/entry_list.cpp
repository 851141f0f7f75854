#include "vault/entry_list.hpp"

#include <utility>

#include "base/error.hpp"

namespace lifeboat::vault {

EntryList::EntryList(Chunks& chunks, std::string snapshot, std::vector<ChunkRef> pages,
                     std::uint64_t entries, ByteCount bytes)
    : chunks_(chunks),
      snapshot_(std::move(snapshot)),
      pages_(std::move(pages)),
      entries_(entries),
      bytes_(bytes),
      parser_(snapshot_) {}

const Entry* EntryList::front() {
  while (!front_) {
    front_ = parser_.next();
    if (front_) break;
    if (pages_read_ == pages_.size()) {
      parser_.finish(entries_, bytes_);
      return nullptr;
    }
    read_page();
  }
  return &*front_;
}

void EntryList::pop() {
  front_.reset();
}

std::optional<Entry> EntryList::next() {
  front();
  return std::exchange(front_, std::nullopt);
}

void EntryList::read_page() {
  auto page = while_doing("reading the list of entries of snapshot " + snapshot_,
                          [&] { return chunks_.get(pages_[pages_read_]); });
  ++pages_read_;
  parser_.page(std::move(page));
}

}  // namespace lifeboat::vault
