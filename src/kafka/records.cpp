#include "kafka/records.hpp"

#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

std::string subject(const TopicPartition& log, Offset offset) {
  return fmt::format("{} offset {}", to_string(log), offset);
}

constexpr std::size_t kLeastHeader = 2;  // the lengths of its key and its value

}  // namespace

void RecordReader::corrupt(const std::string& message) const {
  throw Error(Code::corrupt, subject(log_, base_ + (previous_delta_ + 1)), message);
}

void RecordReader::open(const BatchView& batch, const TopicPartition& log) {
  log_ = log;
  base_ = batch.base_offset();
  last_delta_ = batch.last_offset_delta();
  base_timestamp_ = batch.base_timestamp();
  append_time_.reset();
  if (batch.is_log_append_time()) append_time_ = batch.max_timestamp();
  left_ = batch.record_count();
  previous_delta_ = -1;
  rest_ = batch.bytes().substr(kBatchHeader);
  if (left_ == 0 && rest_.empty()) return;  // compaction keeps such ones, whatever their codec
  rest_ = decompressor_.run(batch.compression(), rest_, subject(log, base_));
}

bool RecordReader::next(Record& record) {
  if (left_ == 0) {
    if (!rest_.empty()) corrupt(fmt::format("{} bytes follow the last record", rest_.size()));
    return false;
  }
  const auto length = varint(rest_, "length");
  if (length < 0 || static_cast<std::uint64_t>(length) > rest_.size()) {
    corrupt(fmt::format("a record of {} bytes, {} are left in the batch", length, rest_.size()));
  }
  auto body = rest_.substr(0, static_cast<std::size_t>(length));
  rest_.remove_prefix(body.size());
  if (body.empty()) corrupt("a record without attributes");
  record.attributes = static_cast<std::int8_t>(body.front());
  body.remove_prefix(1);
  read_position(body, record);
  record.key = nullable(body, "key");
  record.value = nullable(body, "value");
  record.headers = headers(body);
  if (!body.empty()) corrupt(fmt::format("{} bytes too many in a record", body.size()));
  --left_;
  return true;
}

void RecordReader::read_position(std::string_view& from, Record& record) {
  const auto time_delta = varint(from, "timestamp");
  std::int64_t time = 0;
  if (__builtin_add_overflow(base_timestamp_.value, time_delta, &time)) {
    corrupt("a timestamp beyond 64 bits");
  }
  record.timestamp = append_time_.value_or(Timestamp(time));
  const auto delta = varint(from, "offset");
  if (delta <= previous_delta_ || delta > last_delta_) {
    corrupt(fmt::format("offset delta {} after {}, in a batch up to {}", delta, previous_delta_,
                        last_delta_));
  }
  record.offset = base_ + delta;
  previous_delta_ = delta;
}

std::int64_t RecordReader::varint(std::string_view& from, const char* what) const {
  const auto value = take_varint(from);
  if (!value) corrupt(fmt::format("a record ends in its {}", what));
  return *value;
}

std::optional<std::string_view> RecordReader::nullable(std::string_view& from,
                                                       const char* what) const {
  const auto length = varint(from, what);
  if (length == -1) return std::nullopt;
  if (length < 0 || static_cast<std::uint64_t>(length) > from.size()) {
    corrupt(fmt::format("a {} of {} bytes, {} are left in the record", what, length, from.size()));
  }
  const auto view = from.substr(0, static_cast<std::size_t>(length));
  from.remove_prefix(view.size());
  return view;
}

RecordHeaders RecordReader::headers(std::string_view& from) const {
  const auto count = varint(from, "number of headers");
  if (count < 0 || static_cast<std::uint64_t>(count) > from.size() / kLeastHeader) {
    corrupt(fmt::format("{} headers in {} bytes", count, from.size()));
  }
  const auto all = from;
  for (std::int64_t i = 0; i < count; ++i) {
    if (!nullable(from, "header key")) corrupt("a header without a key");
    nullable(from, "header value");
  }
  return {static_cast<std::size_t>(count), all.substr(0, all.size() - from.size())};
}

}  // namespace lifeboat::kafka
