#include "vault/read_ahead.hpp"

#include "base/error.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kMostChunks = 16384;  // that are not opened yet
constexpr std::size_t kMostFiles = 2048;    // that are not whole, when it asks for more

}  // namespace

ReadAhead::ReadAhead(Chunks& chunks, std::string snapshot, Source source, EntrySink& sink,
                     unsigned lanes)
    : chunks_(chunks),
      snapshot_(std::move(snapshot)),
      source_(std::move(source)),
      sink_(sink),
      most_stored_(kStoredAhead.value / lanes),
      most_opened_(kAhead.value / lanes) {}

bool ReadAhead::advance() {
  ask_for_files();
  if (files_.empty()) return false;
  if (may_fetch()) {
    fetch();
  } else if (may_open()) {
    open();
  } else {
    step();
  }
  return true;
}

// Not before they could be fetched: another lane may be sooner.
void ReadAhead::ask_for_files() {
  if (all_asked_for_ || !wanted_.empty()) return;
  if (files_.size() > kMostFiles || !room_to_fetch()) return;
  auto files = source_();
  all_asked_for_ = files.empty();
  for (auto& file : files) {
    wanted_.insert(wanted_.end(), file.chunks.begin(), file.chunks.end());
    files_.push_back({std::move(file)});
  }
}

bool ReadAhead::may_fetch() const {
  return !wanted_.empty() && room_to_fetch();
}

bool ReadAhead::room_to_fetch() const {
  return coming_.size() < kMostChunks && stored_ + kFetched.value <= most_stored_;
}

void ReadAhead::fetch() {
  const std::vector<ChunkRef> refs(
      wanted_.begin(),
      wanted_.begin() + static_cast<std::ptrdiff_t>(std::min(wanted_.size(), kMostChunks)));
  for (auto& one : chunks_.fetch(refs, ByteCount(std::min(at_once_, kFetched.value)))) {
    stored_ += one.place.stored;
    coming_.push_back(std::move(one));
    wanted_.pop_front();
  }
}

bool ReadAhead::may_open() const {
  return !coming_.empty() && (opened_.empty() || opened_cost_ + kOpened.value <= most_opened_);
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
  auto contents = chunks_.open_later(std::move(some), ended_);
  for (std::size_t i = 0; i < contents.size(); ++i) {
    opened_cost_ += described[i].cost;
    described[i].content = std::move(contents[i]);
    opened_.push_back(std::move(described[i]));
  }
}

void ReadAhead::step() {
  auto& [file, given] = files_.front();
  if (!begun_) begun_ = sink_.begin_file(file);
  if (given < file.chunks.size()) {
    begun_->data(next(file).bytes);
    ++given;
    return;
  }
  begun_->end();
  begun_.reset();
  files_.pop_front();
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
