#pragma once

#include <deque>
#include <future>

#include "vault/snapshot.hpp"

namespace lifeboat::vault {

// Gives entries and their files' data to a sink, in order, while what comes next is read: first out
// of the store, as it lies there, far ahead, so that what shrinks much takes few calls; then it is
// opened, not so far. It begins with little at a time, so that the sink need not wait long. For one
// thread. Memory: kAhead of content (or one chunk) with what a promise
// for each chunk takes, kStoredAhead of what is not opened, the chunk lists of the files begun.
class ReadAhead {
 public:
  static constexpr ByteCount kFirst{1u << 20};  // of both, at once
  static constexpr ByteCount kStoredAhead{32u << 20};
  static constexpr ByteCount kFetched{8u << 20};  // of that, at once
  static constexpr ByteCount kEach{1u << 10};     // what a chunk takes besides its content
  // Of content, at once: sixteen chunks of pages, which are hashed together.
  static constexpr ByteCount kOpened{16 * ((1u << 20) + kEach.value)};
  static constexpr ByteCount kAhead{4 * kOpened.value};

  // `snapshot`: its name, for errors.
  ReadAhead(Chunks& chunks, std::string snapshot, EntrySink& sink);
  // May give what was added before. Throws what the sink throws, and what reading throws.
  void add(const Entry& entry);
  void finish();  // gives all that is left

 private:
  struct Waiting {
    Entry entry;
    std::size_t given = 0;  // of its chunks
    bool begun = false;
  };
  struct Opened {
    std::uint64_t cost = 0;    // counted in opened_cost_
    std::uint64_t stored = 0;  // in stored_
    std::future<Chunks::Content> content;
  };

  static std::uint64_t cost(const ChunkRef& chunk) { return chunk.size.value + kEach.value; }
  void advance();
  bool may_fetch() const;
  void fetch();
  bool may_open() const;
  void open();
  void step();
  Chunks::Content next(const Entry& entry);

  Chunks& chunks_;
  std::string snapshot_;
  EntrySink& sink_;
  std::deque<Waiting> entries_;
  // The chunks of entries_ that were not given, in order: not fetched, not opened, opened.
  std::deque<ChunkRef> wanted_;
  std::deque<Chunks::Coming> coming_;
  std::deque<Opened> opened_;
  std::uint64_t at_once_ = kFirst.value;  // bytes; up to kFetched, kOpened
  std::uint64_t stored_ = 0;              // of coming_ and opened_, as they lie in the store
  std::uint64_t opened_cost_ = 0;         // of opened_
};

}  // namespace lifeboat::vault
