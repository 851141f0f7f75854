#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

// The compressions of record batches, as Kafka's clients write and read them: gzip (RFC 1952),
// snappy (raw, or cut into blocks as xerial's Java library does), lz4 and zstd frames.

std::string_view to_string(Compression codec);

// Keeps its buffer and contexts from batch to batch. Memory: what the largest batch took, at most
// `limit`, and for zstd its window, at most 128 MiB. Sizes that the bytes tell are never believed.
class Decompressor {
 public:
  explicit Decompressor(ByteCount limit);
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;

  // All that `bytes` hold; the view lives until the next call (for none: as long as `bytes`).
  // Error(corrupt) when it is not of that compression, is torn or too long; Error(unsupported) when
  // it holds more than the limit. They name `subject`.
  std::string_view run(Compression codec, std::string_view bytes, const std::string& subject);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Readable by all clients: blocks of lz4 are independent, snappy is raw.
std::string compress(Compression codec, std::string_view bytes);

}  // namespace lifeboat::kafka
