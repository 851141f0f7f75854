#pragma once

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "vault/snapshot.hpp"

namespace lifeboat::vault {

// Gives files' data to a sink, file by file, while what comes next is read: first out of the store,
// as it lies there, far ahead, so that what shrinks much takes few calls; then it is opened, not so
// far. It begins with little at a time, so that the sink need not wait long. For one thread;
// several may write a tree together. Memory, of all of them: kAhead of content (or one chunk each)
// with what a promise for each chunk takes, kStoredAhead of what it lies in; of each, the chunk
// lists of the files that it was given and that are not whole.
class ReadAhead {
 public:
  static constexpr ByteCount kFirst{1u << 20};  // of both, at once
  // Also of what is opened and had not shrunk: it lies where it was read. Sixteen chunks of that
  // are hashed together too, so each of two lanes holds them and a piece of what comes next.
  static constexpr ByteCount kStoredAhead{48u << 20};
  static constexpr ByteCount kFetched{8u << 20};  // of that, at once
  static constexpr ByteCount kEach{1u << 10};     // what a chunk takes besides its content
  // Of content, at once: sixteen chunks of pages, which are hashed together.
  static constexpr ByteCount kOpened{16 * ((1u << 20) + kEach.value)};
  static constexpr ByteCount kAhead{5 * kOpened.value / 2};

  // The files that come next; none: that was all.
  using Source = std::function<std::vector<Entry>()>;
  // `snapshot`: its name, for errors. `lanes`: those that share the memory.
  ReadAhead(Chunks& chunks, std::string snapshot, Source source, EntrySink& sink,
            unsigned lanes = 1);
  ~ReadAhead() { ended_->request(); }  // what was opened ahead is abandoned
  // A piece of the work; false: there is none left. Throws what the source and the sink throw, and
  // what reading throws.
  bool advance();

 private:
  struct Waiting {
    Entry entry;
    std::size_t given = 0;  // of its chunks
  };
  struct Opened {
    std::uint64_t cost = 0;    // counted in opened_cost_
    std::uint64_t stored = 0;  // in stored_
    std::future<Chunks::Content> content;
  };

  static std::uint64_t cost(const ChunkRef& chunk) { return chunk.size.value + kEach.value; }
  void ask_for_files();
  bool may_fetch() const;
  bool room_to_fetch() const;
  void fetch();
  bool may_open() const;
  void open();
  void step();
  Chunks::Content next(const Entry& entry);

  Chunks& chunks_;
  std::string snapshot_;
  Source source_;
  EntrySink& sink_;
  const std::uint64_t most_stored_;  // of stored_
  const std::uint64_t most_opened_;  // of opened_cost_
  const std::shared_ptr<Cancel> ended_ = std::make_shared<Cancel>();
  bool all_asked_for_ = false;
  std::deque<Waiting> files_;
  std::unique_ptr<DataSink> begun_;  // of the first of files_
  // The chunks of files_ that were not given, in order: not fetched, not opened, opened.
  std::deque<ChunkRef> wanted_;
  std::deque<Chunks::Coming> coming_;
  std::deque<Opened> opened_;
  std::uint64_t at_once_ = kFirst.value;  // bytes; up to kFetched, kOpened
  std::uint64_t stored_ = 0;              // of coming_ and opened_, as they lie in the store
  std::uint64_t opened_cost_ = 0;         // of opened_
};

}  // namespace lifeboat::vault
