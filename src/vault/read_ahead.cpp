#include "vault/read_ahead.hpp"

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMostEntries = 4096;  // that were not given yet
constexpr std::size_t kMostWanted = 16384;  // chunks that were not fetched yet

}  // namespace

ReadAhead::ReadAhead(Chunks& chunks, std::string snapshot, EntrySink& sink)
    : chunks_(chunks), snapshot_(std::move(snapshot)), sink_(sink) {}

void ReadAhead::add(const Entry& entry) {
  entries_.push_back({entry});
  wanted_.insert(wanted_.end(), entry.chunks.begin(), entry.chunks.end());
  while (wanted_.size() > kMostWanted || entries_.size() > kMostEntries) advance();
}

void ReadAhead::finish() {
  while (!entries_.empty()) advance();
}

void ReadAhead::advance() {
  if (may_fetch()) return fetch();
  if (may_open()) return open();
  step();
}

bool ReadAhead::may_fetch() const {
  return !wanted_.empty() && coming_.size() < kMostWanted &&
         stored_ + kFetched.value <= kStoredAhead.value;
}

void ReadAhead::fetch() {
  const std::vector<ChunkRef> refs(
      wanted_.begin(),
      wanted_.begin() + static_cast<std::ptrdiff_t>(std::min(wanted_.size(), kMostWanted)));
  for (auto& one : chunks_.fetch(refs, ByteCount(std::min(at_once_, kFetched.value)))) {
    stored_ += one.place.stored;
    coming_.push_back(std::move(one));
    wanted_.pop_front();
  }
}

bool ReadAhead::may_open() const {
  return !coming_.empty() && (opened_.empty() || opened_cost_ + kOpened.value <= kAhead.value);
}

void ReadAhead::open() {
  const auto most = std::min(at_once_, kOpened.value);
  at_once_ = std::min(2 * at_once_, kOpened.value);
  std::vector<Chunks::Coming> some;
  std::vector<Opened> described;
  for (std::uint64_t bytes = 0; !coming_.empty(); coming_.pop_front()) {
    bytes += cost(coming_.front().ref);
    if (bytes > most && !some.empty()) break;
    described.push_back({cost(coming_.front().ref), coming_.front().place.stored, {}});
    some.push_back(std::move(coming_.front()));
  }
  auto contents = chunks_.open_later(std::move(some));
  for (std::size_t i = 0; i < contents.size(); ++i) {
    opened_cost_ += described[i].cost;
    described[i].content = std::move(contents[i]);
    opened_.push_back(std::move(described[i]));
  }
}

void ReadAhead::step() {
  auto& front = entries_.front();
  if (!front.begun) sink_.begin(front.entry);
  front.begun = true;
  if (front.given < front.entry.chunks.size()) {
    sink_.data(next(front.entry).bytes);
    ++front.given;
    return;
  }
  if (front.entry.type == Entry::Type::file) sink_.end_file();
  entries_.pop_front();
}

Chunks::Content ReadAhead::next(const Entry& entry) {
  if (coming_.empty() && opened_.empty()) fetch();
  if (opened_.empty()) open();
  auto content = while_doing("reading '" + entry.path + "' of snapshot " + snapshot_,
                             [&] { return opened_.front().content.get(); });
  opened_cost_ -= opened_.front().cost;
  stored_ -= opened_.front().stored;
  opened_.pop_front();
  return content;
}

}  // namespace lifeboat::vault
