#include "vault/entry_list.hpp"

#include "base/error.hpp"

namespace lifeboat::vault {

EntryList::EntryList(Chunks& chunks, std::string snapshot, std::vector<ChunkRef> pages,
                     std::uint64_t entries, ByteCount bytes)
    : chunks_(chunks),
      snapshot_(std::move(snapshot)),
      pages_(std::move(pages)),
      entries_(entries),
      bytes_(bytes),
      parser_(snapshot_, [this](Entry entry) { ahead_.push_back(std::move(entry)); }) {}

const Entry* EntryList::front() {
  while (ahead_.empty() && pages_read_ < pages_.size()) read_page();
  if (!ahead_.empty()) return &ahead_.front();
  parser_.finish(entries_, bytes_);
  return nullptr;
}

void EntryList::pop() {
  ahead_.pop_front();
}

std::optional<Entry> EntryList::next() {
  if (front() == nullptr) return std::nullopt;
  auto entry = std::move(ahead_.front());
  ahead_.pop_front();
  return entry;
}

void EntryList::read_page() {
  const auto page = while_doing("reading the list of entries of snapshot " + snapshot_,
                                [&] { return chunks_.get(pages_[pages_read_]); });
  ++pages_read_;
  parser_.page(page);
}

}  // namespace lifeboat::vault
