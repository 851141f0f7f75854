#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/types.hpp"

namespace lifeboat {
class ChecksumTrail;
}

namespace lifeboat::kafka {

// Record batches, magic 2, as brokers store and send them (KIP-98; "Record Batch" in Kafka's
// documentation of the message format). Everything here is pure.

enum class Compression { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

// Who produced a batch; all -1: nobody in particular.
struct ProducerStamp {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
  std::int32_t base_sequence = -1;
};

inline constexpr std::size_t kBatchHeader = 61;       // bytes before the records
inline constexpr std::size_t kMaxBatch = 256u << 20;  // longer is taken for damage

// Reads the header of one whole batch; does not own the bytes. Make it with split_batches() or
// BatchView::parse(): then lengths and the header are known to be sound.
class BatchView {
 public:
  // `bytes` must be one whole batch. Throws Error(corrupt), or Error(unsupported) for magic 0 and 1
  // and for attributes that this build does not know. Checks the CRC when told.
  static BatchView parse(std::string_view bytes, bool check_crc = true);
  // The same by a trail of which the bytes are a part; null: they are read.
  static BatchView parse(std::string_view bytes, const ChecksumTrail* trail);

  std::string_view bytes() const { return bytes_; }
  Offset base_offset() const;
  Offset next_offset() const;  // base_offset + last_offset_delta + 1
  std::int32_t last_offset_delta() const;
  LeaderEpoch leader_epoch() const;
  std::uint32_t crc() const;
  std::int16_t attributes() const;
  Compression compression() const;
  bool is_transactional() const;
  bool is_control() const;
  bool is_log_append_time() const;
  Timestamp base_timestamp() const;  // of the first record
  Timestamp max_timestamp() const;   // -1: none
  ProducerStamp producer() const;
  std::int32_t record_count() const;
  // Compaction took records out: the broker takes such a batch back only when re-encoded.
  bool has_holes() const { return record_count() != last_offset_delta() + 1; }

 private:
  explicit BatchView(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
};

struct SplitBatches {
  std::vector<BatchView> batches;  // views into the bytes given; offsets grow
  std::size_t whole = 0;           // bytes that the batches take; the rest is a torn last batch
};
// Cuts what a Fetch answered (or a segment file holds) into batches and checks each. A last batch
// that is cut off is left out. `trail`, if any, knows the bytes already. Errors as in
// BatchView::parse, and Error(corrupt) when offsets fall.
SplitBatches split_batches(std::string_view bytes, const ChecksumTrail* trail = nullptr);

// CRC-32C of the bytes of batches whose own CRC was checked, put together from those.
std::uint32_t crc32c_of(const std::vector<BatchView>& batches);

// Error(unsupported) when a broker would not take the batch from a producer: control batches and
// batches with holes. The subject names `log`, the message the offsets.
void check_producible(const BatchView& batch, const TopicPartition& log);

// The header's fields of a batch that is written anew: nobody's producer, create time.
struct BatchFields {
  Offset base_offset;
  Compression compression = Compression::none;
  std::int32_t last_offset_delta = 0;
  Timestamp base_timestamp;
  Timestamp max_timestamp;
  std::int32_t record_count = 0;
};
// A whole batch; `records` are compressed as the fields say. Error(unsupported) above kMaxBatch.
std::string make_batch(const BatchFields& fields, std::string_view records);

// The header under which a broker accepts a stored batch's records from a producer: base offset 0,
// no transaction, no delete horizon, `stamp` for the producer, new CRC. Checks as
// check_producible() does.
using BatchHeader = std::array<char, kBatchHeader>;
BatchHeader header_for_produce(const BatchView& batch, const TopicPartition& log,
                               ProducerStamp stamp = {});
// The same in place.
void patch_for_produce(std::string& batch, const TopicPartition& log, ProducerStamp stamp = {});

enum class Marker { abort = 0, commit = 1 };
// The end of a transaction that a control batch tells; nullopt: another kind of control batch.
std::optional<Marker> transaction_marker(const BatchView& control);

// The batches of producer `producer_id` with base offsets in [first, end) that are transactional
// belong to an aborted transaction (or to one that was open when the log ended).
struct AbortedTransaction {
  std::int64_t producer_id;
  Offset first;
  Offset end;
  friend auto operator<=>(const AbortedTransaction&, const AbortedTransaction&) = default;
};

// What to do with a batch when the log is produced again.
enum class Replay { keep, drop_control, drop_aborted, drop_empty };
class ReplayFilter {
 public:
  explicit ReplayFilter(std::vector<AbortedTransaction> aborted);
  Replay decide(const BatchView& batch) const;

 private:
  std::map<std::int64_t, std::map<Offset, Offset>> aborted_;  // producer id -> first -> end
};

}  // namespace lifeboat::kafka
