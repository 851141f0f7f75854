#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/types.hpp"

namespace lifeboat::vault {

class Sealing;

// Where content-defined chunks end. A chunk ends where a rolling hash of the 64 bytes before says
// so: what was inserted or removed changes the chunks around it, and the ones after it are found
// again. The hash is Gear, with two masks around the mean (W. Xia et al., "FastCDC", USENIX ATC
// 2016, sections 3.3 and 3.4).
struct ChunkSizes {
  std::uint32_t least = 256u << 10;  // but for a file's last one
  std::uint32_t mean = 1u << 20;     // a power of two
  std::uint32_t most = 4u << 20;
};

using GearTable = std::array<std::uint64_t, 256>;
// Of an encrypted vault it is made of its key: who sees only lengths of chunks cannot tell what was
// cut. nullptr: a plain vault; always the same.
GearTable make_gear_table(const Sealing* sealing);

class ContentChunker {
 public:
  ContentChunker(const GearTable& table, ChunkSizes sizes);  // the table must outlive it
  // How many of the bytes, which follow those given before, belong to the chunk that was begun.
  // `end`: it ends with the last of them, and another begins.
  std::size_t feed(std::string_view bytes, bool& end);
  void begin();  // a new chunk: another file

 private:
  const GearTable& table_;
  ChunkSizes sizes_;
  std::uint64_t mask_before_;  // up to the mean: harder to meet
  std::uint64_t mask_after_;
  std::uint64_t hash_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace lifeboat::vault
