#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kafka/compression.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/varint.hpp"

namespace lifeboat::kafka {

// The records of a batch of magic 2 ("Record" in Kafka's documentation of the message format).
// Nothing is allocated for a record: its parts are views.

// A record's headers in their order; keys may come again. Checked when the record was read.
class RecordHeaders {
 public:
  RecordHeaders() = default;
  RecordHeaders(std::size_t size, std::string_view bytes) : size_(size), bytes_(bytes) {}
  std::size_t size() const { return size_; }
  std::string_view bytes() const { return bytes_; }  // as they are encoded, without their number

  // take(std::string_view key, std::optional<std::string_view> value), for each.
  template <typename F>
  void each(F&& take) const {
    auto rest = bytes_;
    const auto part = [&rest]() -> std::optional<std::string_view> {
      const auto length = take_varint(rest).value_or(-1);
      if (length < 0) return std::nullopt;
      const auto view = rest.substr(0, static_cast<std::size_t>(length));
      rest.remove_prefix(view.size());
      return view;
    };
    for (std::size_t i = 0; i < size_; ++i) {
      const auto key = part();
      take(key.value_or(std::string_view()), part());
    }
  }

 private:
  std::size_t size_ = 0;
  std::string_view bytes_;
};

struct Record {
  Offset offset;
  Timestamp timestamp;  // what a consumer sees: log append time where the batch has it; -1: none
  std::int8_t attributes = 0;  // none is defined
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  // nullopt: null, a tombstone
  RecordHeaders headers;
};

// More is taken for an attack: a broker's largest request is 100 MiB by default, compressed.
inline constexpr ByteCount kMaxRecords{256u << 20};

// Reads batches, one after the other. One thread at a time. Memory: see Decompressor.
class RecordReader {
 public:
  explicit RecordReader(ByteCount limit = kMaxRecords) : decompressor_(limit) {}

  // Begins a batch, whose bytes must stay until the last next(). Errors, here and from next(), name
  // `log` and the offset: Error(corrupt) for bytes that are no records or other than the header
  // says, Error(unsupported) for more than `limit` bytes of them.
  void open(const BatchView& batch, const TopicPartition& log);

  // The next record in order of offsets, false after the last. Views live until the next open().
  // Records of control batches are given as they are: transaction_marker() reads them.
  bool next(Record& record);

 private:
  [[noreturn]] void corrupt(const std::string& message) const;
  std::int64_t varint(std::string_view& from, const char* what) const;
  std::optional<std::string_view> nullable(std::string_view& from, const char* what) const;
  RecordHeaders headers(std::string_view& from) const;
  void read_position(std::string_view& from, Record& record);

  Decompressor decompressor_;
  TopicPartition log_;
  Offset base_;
  std::int32_t last_delta_ = -1;
  Timestamp base_timestamp_;
  std::optional<Timestamp> append_time_;
  std::string_view rest_;
  std::int32_t left_ = 0;
  std::int64_t previous_delta_ = -1;
};

}  // namespace lifeboat::kafka
