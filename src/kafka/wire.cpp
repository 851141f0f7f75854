#include "kafka/wire.hpp"

#include <cstring>

#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

constexpr std::size_t kSizeField = 4;
constexpr std::size_t kCorrelationField = 8;
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

Request::Request(Api api, std::int16_t version, Header header, std::string_view client_id)
    : api_(api), version_(version) {
  be<std::int32_t>(0).be(static_cast<std::int16_t>(api)).be(version).be<std::int32_t>(0);
  string(client_id);
  if (header == Header::flexible) no_tags();
}

Request& Request::string(std::string_view value) {
  if (value.size() > INT16_MAX) throw Error(Code::usage, "kafka", "a name is too long to send");
  be(static_cast<std::int16_t>(value.size()));
  out_.append(value);
  return *this;
}

Request& Request::compact_string(std::string_view value) {
  uvarint(value.size() + 1);
  out_.append(value);
  return *this;
}

Request& Request::compact_size(std::size_t n) {
  uvarint(n + 1);
  return *this;
}

Request& Request::uuid(std::string_view bytes16) {
  out_.append(bytes16.substr(0, 16));
  return *this;
}

Request& Request::bytes(std::string_view value) {
  be(static_cast<std::int32_t>(value.size()));
  out_.append(value);
  return *this;
}

void Request::uvarint(std::uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

Request& Request::bytes_in_place(std::string_view first, std::string_view second) {
  be(static_cast<std::int32_t>(first.size() + second.size()));
  for (const auto part : {first, second}) in_place_.push_back({out_.size(), part});
  placed_ += first.size() + second.size();
  return *this;
}

std::vector<std::string_view> Request::pieces(std::int32_t correlation_id) {
  const auto put = [this](std::size_t at, std::int32_t value) {
    value = to_big_endian(value);
    std::memcpy(out_.data() + at, &value, sizeof value);
  };
  put(0, static_cast<std::int32_t>(size() - kSizeField));
  put(kCorrelationField, correlation_id);
  std::vector<std::string_view> pieces;
  std::size_t from = 0;
  for (const auto& placed : in_place_) {
    if (placed.at > from) pieces.push_back(std::string_view(out_).substr(from, placed.at - from));
    if (!placed.bytes.empty()) pieces.push_back(placed.bytes);
    from = placed.at;
  }
  if (from < out_.size()) pieces.push_back(std::string_view(out_).substr(from));
  return pieces;
}

Answer::Answer(std::string_view bytes, Header header, std::string subject)
    : reader_(bytes, std::move(subject)) {
  reader_.take(4);  // correlation id; the connection has looked at it
  if (header == Header::flexible) skip_tags();
}

std::string_view Answer::string() {
  const auto length = be<std::int16_t>();
  return length < 0 ? std::string_view() : reader_.take(static_cast<std::size_t>(length));
}

std::string_view Answer::compact_string() {
  return compact_bytes();
}

std::string_view Answer::bytes() {
  const auto length = be<std::int32_t>();
  return length <= 0 ? std::string_view() : reader_.take(static_cast<std::size_t>(length));
}

std::string_view Answer::compact_bytes() {
  const auto length = uvarint();
  return length == 0 ? std::string_view() : reader_.take(length - 1);
}

std::size_t Answer::checked_size(std::int64_t n, std::size_t least) {
  if (n <= 0) return 0;
  if (static_cast<std::uint64_t>(n) > reader_.left() / least) {
    corrupt(std::to_string(n) + " elements do not fit into the answer");
  }
  return static_cast<std::size_t>(n);
}

std::size_t Answer::size(std::size_t least) {
  return checked_size(be<std::int32_t>(), least);
}

std::size_t Answer::compact_size(std::size_t least) {
  const auto n = uvarint();
  if (n > INT32_MAX) corrupt("an array is too long");
  return checked_size(static_cast<std::int64_t>(n) - 1, least);
}

std::uint64_t Answer::uvarint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    const auto byte = static_cast<unsigned char>(reader_.be<std::int8_t>());
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  corrupt("a varint does not end");
}

void Answer::skip_tags() {
  tags([](std::uint64_t, std::string_view) {});
}

void Answer::corrupt(const std::string& message) const {
  throw Error(Code::corrupt, reader_.subject(), message);
}

std::string print_uuid(std::string_view bytes16) {
  std::string text;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char byte : bytes16) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
    for (held += 8; held >= 6; held -= 6) text.push_back(kDigits[(bits >> (held - 6)) & 0x3f]);
  }
  if (held > 0) text.push_back(kDigits[(bits << (6 - held)) & 0x3f]);
  return text;
}

std::optional<std::string> parse_uuid(std::string_view text) {
  if (text.size() != 22) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char digit : text) {
    const auto value = kDigits.find(digit);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>(bits >> held));
    }
  }
  return bytes;
}

}  // namespace lifeboat::kafka
