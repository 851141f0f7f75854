#pragma once

#include <deque>
#include <future>

#include "vault/snapshot.hpp"

namespace lifeboat::vault {

// Gives entries and their files' data to a sink, in order, while what comes next is read. For one
// thread. Memory: kAhead of content (or one chunk) with what a promise for each chunk takes, the chunk
// lists of the files begun.
class ReadAhead {
 public:
  static constexpr ByteCount kAhead{48u << 20};
  static constexpr ByteCount kAtOnce{16u << 20};  // asked for by one call
  static constexpr ByteCount kEach{1u << 10};     // what a chunk takes besides its content

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
  struct Asked {
    ByteCount size;
    std::future<Chunks::Content> content;
  };

  static std::uint64_t cost(ByteCount chunk) { return chunk.value + kEach.value; }
  bool may_ask() const;
  void ask();
  void step();
  Chunks::Content next(const Entry& entry);

  Chunks& chunks_;
  std::string snapshot_;
  EntrySink& sink_;
  std::deque<Waiting> entries_;
  std::deque<ChunkRef> wanted_;  // of entries_, not asked for
  std::uint64_t wanted_bytes_ = 0;  // kEach of each chunk is counted with them
  std::deque<Asked> asked_;
  std::uint64_t asked_bytes_ = 0;
};

}  // namespace lifeboat::vault
