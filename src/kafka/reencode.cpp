#include "kafka/reencode.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

void append_nullable(std::string& out, const std::optional<std::string_view>& bytes) {
  append_varint(out, bytes ? static_cast<std::int64_t>(bytes->size()) : -1);
  if (bytes) out += *bytes;
}

}  // namespace

bool must_reencode(const BatchView& batch, Offset from, Offset until) {
  return batch.has_holes() || batch.is_log_append_time() || batch.base_offset() < from ||
         batch.next_offset() > until;
}

void Reencoder::append(const Record& record, std::int64_t time_delta, std::int64_t offset_delta) {
  record_.assign(1, static_cast<char>(record.attributes));
  append_varint(record_, time_delta);
  append_varint(record_, offset_delta);
  append_nullable(record_, record.key);
  append_nullable(record_, record.value);
  append_varint(record_, static_cast<std::int64_t>(record.headers.size()));
  record_ += record.headers.bytes();
  append_varint(records_, static_cast<std::int64_t>(record_.size()));
  records_ += record_;
}

std::optional<ReencodedBatch> Reencoder::run(const BatchView& batch, const TopicPartition& log,
                                             Offset from, Offset until) {
  ReencodedBatch made;
  records_.clear();
  std::optional<Timestamp> base;
  Timestamp max{-1};
  std::int32_t count = 0;
  reader_.open(batch, log);
  for (Record record; reader_.next(record);) {
    if (record.offset < from || record.offset >= until) continue;
    if (!base) base = record.timestamp;
    std::int64_t time_delta = 0;
    if (__builtin_sub_overflow(record.timestamp.value, base->value, &time_delta)) {
      throw Error(Code::corrupt, fmt::format("{} offset {}", to_string(log), record.offset),
                  "its timestamp is too far from that of the batch's first record");
    }
    max = std::max(max, record.timestamp);
    append(record, time_delta, count++);
    if (made.kept.empty() || made.kept.back().next != record.offset) {
      made.kept.push_back({record.offset, record.offset});
    }
    made.kept.back().next = record.offset + 1;
  }
  if (!base) return std::nullopt;
  made.bytes = make_batch({.base_offset = made.kept.front().base,
                           .compression = batch.compression(),
                           .last_offset_delta = count - 1,
                           .base_timestamp = *base,
                           .max_timestamp = max,
                           .record_count = count},
                          compress(batch.compression(), records_));
  return made;
}

std::optional<Producible> make_producible(Reencoder& reencoder, const BatchView& batch,
                                          const TopicPartition& log, Offset from, Offset until,
                                          Offset lands_at, OffsetTranslation& table) {
  if (!must_reencode(batch, from, until)) {
    table.add(batch.base_offset(), batch.next_offset(), lands_at);
    return Producible{std::nullopt, batch.record_count()};
  }
  auto made = reencoder.run(batch, log, from, until);
  if (!made) return std::nullopt;
  auto at = lands_at;
  for (const auto& kept : made->kept) {
    table.add(kept.base, kept.next, at);
    at = at + (kept.next - kept.base);
  }
  return Producible{std::move(made->bytes), static_cast<std::int32_t>(at - lands_at)};
}

}  // namespace lifeboat::kafka
