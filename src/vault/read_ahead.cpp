#include "vault/read_ahead.hpp"

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMostEntries = 4096;  // whose chunks are known and not given

}  // namespace

ReadAhead::ReadAhead(Chunks& chunks, std::string snapshot, EntrySink& sink)
    : chunks_(chunks), snapshot_(std::move(snapshot)), sink_(sink) {}

void ReadAhead::add(const Entry& entry) {
  entries_.push_back({entry});
  for (const auto& chunk : entry.chunks) {
    wanted_.push_back(chunk);
    wanted_bytes_ += cost(chunk.size);
  }
  while (wanted_bytes_ >= kAtOnce.value || entries_.size() > kMostEntries) {
    if (may_ask()) {
      ask();
    } else {
      step();
    }
  }
}

void ReadAhead::finish() {
  while (!entries_.empty()) {
    if (may_ask()) {
      ask();
    } else {
      step();
    }
  }
}

bool ReadAhead::may_ask() const {
  return !wanted_.empty() && asked_bytes_ + kAtOnce.value <= kAhead.value;
}

void ReadAhead::ask() {
  std::vector<ChunkRef> refs;
  for (std::uint64_t bytes = 0; !wanted_.empty(); wanted_.pop_front()) {
    bytes += cost(wanted_.front().size);
    if (bytes > kAtOnce.value && !refs.empty()) break;
    refs.push_back(wanted_.front());
  }
  auto contents = chunks_.get_later(refs);
  for (std::size_t i = 0; i < refs.size(); ++i) {
    asked_.push_back({refs[i].size, std::move(contents[i])});
    asked_bytes_ += cost(refs[i].size);
    wanted_bytes_ -= cost(refs[i].size);
  }
}

void ReadAhead::step() {
  auto& front = entries_.front();
  if (!front.begun) sink_.begin(front.entry);
  front.begun = true;
  if (front.given < front.entry.chunks.size()) {
    sink_.data(*next(front.entry));
    ++front.given;
    return;
  }
  if (front.entry.type == Entry::Type::file) sink_.end_file();
  entries_.pop_front();
}

Chunks::Content ReadAhead::next(const Entry& entry) {
  if (asked_.empty()) ask();
  auto content = while_doing("reading '" + entry.path + "' of snapshot " + snapshot_,
                             [&] { return asked_.front().content.get(); });
  asked_bytes_ -= cost(asked_.front().size);
  asked_.pop_front();
  return content;
}

}  // namespace lifeboat::vault
