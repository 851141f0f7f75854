#include "kafka/record_batch.hpp"

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/checksum_trail.hpp"
#include "base/error.hpp"
#include "kafka/varint.hpp"

namespace lifeboat::kafka {

namespace {

// Where the header's fields lie.
constexpr std::size_t kBaseOffset = 0;
constexpr std::size_t kLength = 8;  // bytes after this field
constexpr std::size_t kLeaderEpoch = 12;
constexpr std::size_t kMagic = 16;
constexpr std::size_t kCrc = 17;
constexpr std::size_t kAttributes = 21;  // the CRC covers from here to the end
constexpr std::size_t kLastOffsetDelta = 23;
constexpr std::size_t kBaseTimestamp = 27;
constexpr std::size_t kMaxTimestamp = 35;
constexpr std::size_t kProducerId = 43;
constexpr std::size_t kProducerEpoch = 51;
constexpr std::size_t kBaseSequence = 53;
constexpr std::size_t kCount = 57;
constexpr std::size_t kLogOverhead = 12;  // base offset and length

constexpr std::int16_t kCompressionMask = 0x07;
constexpr std::int16_t kTransactional = 0x10;
constexpr std::int16_t kControl = 0x20;
constexpr std::int16_t kDeleteHorizon = 0x40;

template <std::integral T>
T field(std::string_view bytes, std::size_t at) {
  return load_be<T>(bytes.data() + at);
}

template <std::integral T, typename Bytes>
void put(Bytes& bytes, std::size_t at, T value) {
  value = to_big_endian(value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

[[noreturn]] void corrupt(std::string_view bytes, std::string message) {
  const auto offset = bytes.size() >= 8 ? field<std::int64_t>(bytes, kBaseOffset) : -1;
  throw Error(Code::corrupt, fmt::format("record batch at offset {}", offset), std::move(message));
}

// The size that the header tells, or nullopt when not even that is there.
std::optional<std::size_t> told_size(std::string_view bytes) {
  if (bytes.size() < kLogOverhead) return std::nullopt;
  const auto length = field<std::int32_t>(bytes, kLength);
  if (length < 0 || static_cast<std::size_t>(length) > kMaxBatch) {
    corrupt(bytes, fmt::format("a length of {} cannot be", length));
  }
  return kLogOverhead + static_cast<std::size_t>(length);
}

void check_magic(std::string_view bytes) {
  if (bytes.size() <= kMagic) return;
  const auto magic = field<std::int8_t>(bytes, kMagic);
  if (magic == 2) return;
  const auto offset = field<std::int64_t>(bytes, kBaseOffset);
  if (magic == 0 || magic == 1) {
    throw Error(Code::unsupported, fmt::format("record batch at offset {}", offset),
                fmt::format("is of magic {}, from before Kafka 0.11; only magic 2 is read", magic),
                "let the topic's old segments expire, or exclude the topic");
  }
  corrupt(bytes, fmt::format("magic {} is not known", magic));
}

void check_fields(std::string_view bytes) {
  const auto base = field<std::int64_t>(bytes, kBaseOffset);
  const auto delta = field<std::int32_t>(bytes, kLastOffsetDelta);
  const auto count = field<std::int32_t>(bytes, kCount);
  if (base < 0 || base > INT64_MAX - INT32_MAX - 1) corrupt(bytes, "the base offset cannot be");
  if (delta < 0 || count < 0 || count - 1 > delta) {
    corrupt(bytes,
            fmt::format("{} records with a last offset delta of {} cannot be", count, delta));
  }
  const int compression = field<std::int16_t>(bytes, kAttributes) & kCompressionMask;
  if (compression > static_cast<int>(Compression::zstd)) {
    throw Error(Code::unsupported, fmt::format("record batch at offset {}", base),
                fmt::format("compression {} is not known", compression));
  }
}

std::string_view checked_part(std::string_view bytes) {
  return bytes.substr(kAttributes);
}

// One whole batch; its CRC is compared with what `crc_of` makes of the part that it covers.
template <typename F>
void check_batch(std::string_view bytes, F&& crc_of) {
  check_magic(bytes);
  if (bytes.size() < kBatchHeader) corrupt(bytes, "ends in its header");
  if (told_size(bytes) != bytes.size()) {
    corrupt(bytes, fmt::format("has {} bytes, its header says {}", bytes.size(),
                               told_size(bytes).value_or(0)));
  }
  const auto told = field<std::uint32_t>(bytes, kCrc);
  if (crc_of(checked_part(bytes), told) != told) corrupt(bytes, "the checksum is wrong");
  check_fields(bytes);
}

}  // namespace

BatchView BatchView::parse(std::string_view bytes, bool check_crc) {
  check_batch(bytes, [&](std::string_view part, std::uint32_t told) {
    return check_crc ? crc32c(part) : told;
  });
  return BatchView(bytes);
}

BatchView BatchView::parse(std::string_view bytes, const ChecksumTrail* trail) {
  check_batch(bytes, [&](std::string_view part, std::uint32_t) {
    return trail != nullptr ? trail->of(part) : crc32c(part);
  });
  return BatchView(bytes);
}

Offset BatchView::base_offset() const {
  return Offset(field<std::int64_t>(bytes_, kBaseOffset));
}
Offset BatchView::next_offset() const {
  return base_offset() + (std::int64_t{last_offset_delta()} + 1);
}
std::int32_t BatchView::last_offset_delta() const {
  return field<std::int32_t>(bytes_, kLastOffsetDelta);
}
LeaderEpoch BatchView::leader_epoch() const {
  return LeaderEpoch(field<std::int32_t>(bytes_, kLeaderEpoch));
}
std::uint32_t BatchView::crc() const {
  return field<std::uint32_t>(bytes_, kCrc);
}
std::int16_t BatchView::attributes() const {
  return field<std::int16_t>(bytes_, kAttributes);
}
Compression BatchView::compression() const {
  return static_cast<Compression>(attributes() & kCompressionMask);
}
bool BatchView::is_transactional() const {
  return (attributes() & kTransactional) != 0;
}
bool BatchView::is_control() const {
  return (attributes() & kControl) != 0;
}
bool BatchView::is_log_append_time() const {
  return (attributes() & 0x08) != 0;
}
Timestamp BatchView::base_timestamp() const {
  return Timestamp(field<std::int64_t>(bytes_, kBaseTimestamp));
}
Timestamp BatchView::max_timestamp() const {
  return Timestamp(field<std::int64_t>(bytes_, kMaxTimestamp));
}
ProducerStamp BatchView::producer() const {
  return {field<std::int64_t>(bytes_, kProducerId), field<std::int16_t>(bytes_, kProducerEpoch),
          field<std::int32_t>(bytes_, kBaseSequence)};
}
std::int32_t BatchView::record_count() const {
  return field<std::int32_t>(bytes_, kCount);
}

SplitBatches split_batches(std::string_view bytes, const ChecksumTrail* trail) {
  SplitBatches split;
  Offset next{0};
  for (;;) {
    const auto rest = bytes.substr(split.whole);
    check_magic(rest);  // magic 0 and 1 have another header
    const auto size = told_size(rest);
    if (!size || *size > rest.size()) return split;
    const auto batch = BatchView::parse(rest.substr(0, *size), trail);
    if (batch.base_offset() < next) {
      corrupt(rest, fmt::format("lies before offset {}, where the batch before it ends", next));
    }
    next = batch.next_offset();
    split.batches.push_back(batch);
    split.whole += *size;
  }
}

std::uint32_t crc32c_of(const std::vector<BatchView>& batches) {
  std::uint32_t crc = 0;
  for (const auto& batch : batches) {
    const auto checked = checked_part(batch.bytes());
    const auto head = batch.bytes().size() - checked.size();
    crc = crc32c_combine(crc32c(batch.bytes().substr(0, head), crc), batch.crc(), checked.size());
  }
  return crc;
}

void check_producible(const BatchView& batch, const TopicPartition& log) {
  if (!batch.is_control() && !batch.has_holes()) return;
  throw Error(Code::unsupported, to_string(log),
              fmt::format("the batch of offsets [{}, {}) {} and cannot be produced again as it is",
                          batch.base_offset(), batch.next_offset(),
                          batch.is_control() ? "is a transaction marker"
                                             : "has lost records to compaction"));
}

std::string make_batch(const BatchFields& fields, std::string_view records) {
  const auto length = kBatchHeader + records.size() - kLogOverhead;
  if (length > kMaxBatch) {
    throw Error(Code::unsupported, fmt::format("record batch at offset {}", fields.base_offset),
                fmt::format("would take {} bytes when it is written anew", length));
  }
  std::string batch(kBatchHeader, '\0');
  batch += records;
  put(batch, kBaseOffset, fields.base_offset.value);
  put(batch, kLength, static_cast<std::int32_t>(length));
  put<std::int32_t>(batch, kLeaderEpoch, -1);
  put<std::int8_t>(batch, kMagic, 2);
  put(batch, kAttributes, static_cast<std::int16_t>(fields.compression));
  put(batch, kLastOffsetDelta, fields.last_offset_delta);
  put(batch, kBaseTimestamp, fields.base_timestamp.value);
  put(batch, kMaxTimestamp, fields.max_timestamp.value);
  put<std::int64_t>(batch, kProducerId, -1);
  put<std::int16_t>(batch, kProducerEpoch, -1);
  put<std::int32_t>(batch, kBaseSequence, -1);
  put(batch, kCount, fields.record_count);
  put(batch, kCrc, crc32c(checked_part(batch)));
  return batch;
}

BatchHeader header_for_produce(const BatchView& batch, const TopicPartition& log,
                               ProducerStamp stamp) {
  check_producible(batch, log);
  BatchHeader header;
  std::memcpy(header.data(), batch.bytes().data(), header.size());
  // The delete horizon (KIP-534) belongs to the log that was compacted, not to the record times.
  const auto attributes = batch.attributes() & ~(kTransactional | kDeleteHorizon);
  put<std::int64_t>(header, kBaseOffset, 0);
  put(header, kAttributes, static_cast<std::int16_t>(attributes));
  put(header, kProducerId, stamp.id);
  put(header, kProducerEpoch, stamp.epoch);
  put(header, kBaseSequence, stamp.base_sequence);
  const auto first = crc32c(checked_part({header.data(), header.size()}));
  put(header, kCrc, crc32c(batch.bytes().substr(kBatchHeader), first));
  return header;
}

void patch_for_produce(std::string& batch, const TopicPartition& log, ProducerStamp stamp) {
  const auto header = header_for_produce(BatchView::parse(batch, false), log, stamp);
  batch.replace(0, header.size(), header.data(), header.size());
}

std::optional<Marker> transaction_marker(const BatchView& control) {
  // Control batches are never compressed: one record of length, attributes, time, offset, key.
  auto record = control.bytes().substr(kBatchHeader);
  const auto length = take_varint(record);
  if (!control.is_control() || !length || record.empty()) return std::nullopt;
  record.remove_prefix(1);
  const auto time = take_varint(record);
  const auto offset = take_varint(record);
  const auto key_length = take_varint(record);
  if (!time || !offset || !key_length || *key_length < 4 || record.size() < 4) return std::nullopt;
  const auto version = field<std::int16_t>(record, 0);
  const auto type = field<std::int16_t>(record, 2);
  if (version < 0 || type < 0 || type > 1) return std::nullopt;
  return type == 0 ? Marker::abort : Marker::commit;
}

ReplayFilter::ReplayFilter(std::vector<AbortedTransaction> aborted) {
  for (const auto& one : aborted) aborted_[one.producer_id][one.first] = one.end;
}

Replay ReplayFilter::decide(const BatchView& batch) const {
  if (batch.is_control()) return Replay::drop_control;
  if (batch.record_count() == 0) return Replay::drop_empty;
  const auto producer = aborted_.find(batch.producer().id);
  if (!batch.is_transactional() || producer == aborted_.end()) return Replay::keep;
  const auto after = producer->second.upper_bound(batch.base_offset());
  if (after == producer->second.begin()) return Replay::keep;
  return batch.base_offset() < std::prev(after)->second ? Replay::drop_aborted : Replay::keep;
}

}  // namespace lifeboat::kafka
