#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"
#include "vault/extent.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {

struct LogbookOptions {
  ByteCount flush_bytes{32u << 20};   // a flush begins when so much waits…
  Millis flush_interval{5000};        // …or when the oldest has waited so long
  ByteCount max_buffered{64u << 20};  // not yet durable; append() blocks above it
  ByteCount max_extent{4u << 20};     // appends are merged up to this
  Millis backoff_first{100};          // between tries when the store fails…
  Millis backoff_most{10000};         // …doubling up to this
  int zstd_level = 1;
};

// What the writer of the logs knows of them; the vault does not look into their bytes. Thread-safe.
struct LogPolicy {
  // The attributes of [a.base, b.next) from those of two extents of which b begins where a ends;
  // nullopt: they are kept apart. Without it extents are merged when their attributes are equal.
  std::function<std::optional<std::string>(const Extent& a, const Extent& b)> merge_attributes;
  // Whether to try zstd on the log's bytes as they come; without it they are all tried (a sample
  // of each extent decides).
  std::function<bool(const LogName& log)> compress;
};

std::optional<std::string> merge_attributes(const LogPolicy& policy, const Extent& a,
                                            const Extent& b);

struct LogbookStatus {
  ByteCount buffered;                  // appended, not yet durable
  std::uint64_t objects = 0;           // written by this writer
  ByteCount stored_bytes;              // in these objects
  std::optional<std::string> failing;  // the store's last error while it is being tried again
};

// Appends to the logbook: collects extents of all logs, and writes them as one object a flush.
// Thread-safe. One thread of its own writes the objects, one after the other. For a store that takes
// one call at a time there is none: whoever flushes, or finds the buffer full, writes.
//
// What the store refuses is kept and tried again until it succeeds: meanwhile append() blocks once
// max_buffered wait, so that the source is not acknowledged. Nothing is dropped but by destroying
// the writer, and that was never reported durable. An error that trying again cannot cure (somebody
// else wrote under our name, a callback threw) fails the writer: every later call throws it.
// Memory: max_buffered, one append, and one extent while it is compressed; of an encrypted vault
// the object that is being written also as it is sealed, at most max_buffered, mostly flush_bytes.
class LogbookWriter {
 public:
  LogbookWriter(Vault vault, LogbookOptions options, Clock& clock, Random& random,
                LogPolicy policy = {});
  ~LogbookWriter();  // without flushing; close() first

  // Takes the range. Contiguous ranges of one log are merged, as the policy tells. 0 <= base < next;
  // bytes may be empty where a range holds no data (compacted away). Blocks while the buffer is
  // full; Error(cancelled) when `cancel` is requested meanwhile: then nothing was taken. A large
  // piece with a buffer is not copied; each buffer counts as a whole, once.
  void append(const Extent& extent, const ExtentBytes& piece, const Cancel& cancel);
  void append(const Extent& extent, std::string_view bytes, const Cancel& cancel) {
    append(extent, ExtentBytes{bytes}, cancel);
  }
  // Records that [from, to) cannot be had.
  void gap(const Gap& gap);

  // Called for each object once it is durable, in order, on the writer's thread, with the extents
  // that it holds (merged). Set it before the first append.
  void on_durable(std::function<void(const std::vector<Extent>&)> callback);

  // Returns when all that was appended before the call is durable and its callbacks have returned.
  // Error(cancelled) when asked to stop while waiting: nothing is lost, it is still tried.
  void flush(const Cancel& cancel);
  // flush(), then no more appends.
  void close(const Cancel& cancel);

  LogbookStatus status() const;
  const std::string& incarnation() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lifeboat::vault
