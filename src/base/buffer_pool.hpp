#pragma once

#include <memory>
#include <string>

#include "base/types.hpp"

namespace lifeboat {

// Before it is written to: a page of 2 MiB comes by one fault, and takes one entry of the TLB,
// instead of 512. For what of its room lies in whole ones.
void ask_for_huge_pages(const std::string& buffer);

// Large buffers that are filled again and again: new memory costs a page fault for each 4 KiB of
// it. Thread-safe; buffers may outlive the pool.
class BufferPool {
 public:
  // Of the buffers that nobody holds any more, the `keep` that were given back last are kept, those
  // that grew above twice `usual` not.
  BufferPool(std::size_t keep, ByteCount usual);
  // With the content that it happens to have, and room for `usual`.
  std::shared_ptr<std::string> take();
  // Of the buffers that nobody holds, one more gives its memory back, unless only `keep` have any.
  void shrink(std::size_t keep);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lifeboat
