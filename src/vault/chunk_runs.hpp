#pragma once

#include <cstdint>
#include <vector>

#include "base/types.hpp"
#include "vault/pack_index.hpp"

namespace lifeboat::vault {

// One of several chunks that are wanted.
struct WantedChunk {
  std::size_t number = 0;  // in the order in which they were asked for
  PackPlace place;
};

// Chunks that are read at once: [offset, offset + length) of a pack.
struct ChunkRun {
  std::uint32_t pack = 0;
  ByteCount offset;
  ByteCount length;
  std::vector<WantedChunk> chunks;  // by offset; one that is wanted twice is there twice
};

struct RunLimits {
  ByteCount gap{256u << 10};  // what lies between two chunks may be read in vain
  ByteCount most{8u << 20};   // of a run's length; one chunk may be larger
};

// Who asks a store pays for each call: chunks that lie near each other are read by one. The run
// with the chunk that was asked for first comes first.
std::vector<ChunkRun> plan_runs(std::vector<WantedChunk> wanted, const RunLimits& limits = {});

}  // namespace lifeboat::vault
