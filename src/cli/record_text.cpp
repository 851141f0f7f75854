#include "cli/record_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "base/error.hpp"

namespace lifeboat::cli {
namespace {

constexpr const char* kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

unsigned byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto left = std::min<std::size_t>(3, bytes.size() - at);
    unsigned group = byte_at(bytes, at) << 16;
    if (left > 1) group |= byte_at(bytes, at + 1) << 8;
    if (left > 2) group |= byte_at(bytes, at + 2);
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= left ? kBase64[group >> (18 - 6 * i) & 63] : '=';
    }
  }
}

void append_escaped(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_nullable(std::string& out, const std::optional<std::string_view>& bytes) {
  if (bytes) {
    append_json_bytes(out, *bytes);
  } else {
    out += "null";
  }
}

// The length of the character that begins at `at`; 0 when there is none.
std::size_t utf8_length(std::string_view bytes, std::size_t at) {
  const auto first = byte_at(bytes, at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf5   ? 0
                             : first >= 0xf0 ? 4
                             : first >= 0xe0 ? 3
                             : first >= 0xc2 ? 2
                                             : 0;
  if (length == 0 || bytes.size() - at < length) return 0;
  const auto second = byte_at(bytes, at + 1);
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte_at(bytes, at + i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = utf8_length(bytes, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

void append_json_bytes(std::string& out, std::string_view bytes) {
  if (is_utf8(bytes)) return append_escaped(out, bytes);
  out += "{\"base64\":\"";
  append_base64(out, bytes);
  out += "\"}";
}

void append_json(std::string& out, const kafka::TopicPartition& partition,
                 const kafka::BatchView& batch, const kafka::Record& record) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{{\"topic\":\"{}\",\"partition\":{},\"offset\":{},\"timestamp\":",
                 partition.topic, partition.partition, record.offset);
  if (record.timestamp == Timestamp(-1)) {
    out += "null";
  } else {
    fmt::format_to(to, "{}", record.timestamp);
  }
  fmt::format_to(to, ",\"timestamp_type\":\"{}\",\"key\":",
                 batch.is_log_append_time() ? "LogAppendTime" : "CreateTime");
  append_nullable(out, record.key);
  out += ",\"value\":";
  append_nullable(out, record.value);
  out += ",\"headers\":[";
  const char* between = "";
  record.headers.each([&](std::string_view key, std::optional<std::string_view> value) {
    out += between;
    between = ",";
    out += "{\"key\":";
    append_json_bytes(out, key);
    out += ",\"value\":";
    append_nullable(out, value);
    out += '}';
  });
  out += "]}\n";
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\') {
      out += text[at];
      continue;
    }
    const char kind = ++at < text.size() ? text[at] : '?';
    unsigned byte = 0;
    if (kind == 'n' || kind == 't' || kind == '0' || kind == '\\') {
      out += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == '0' ? '\0' : '\\';
    } else if (kind == 'x' && at + 2 < text.size() &&
               std::from_chars(&text[at + 1], &text[at] + 3, byte, 16).ptr == &text[at] + 3) {
      out += static_cast<char>(byte);
      at += 2;
    } else {
      throw Error(Code::usage, "--delimiter", "an escape that is not known in " + std::string(text),
                  R"(use \n, \t, \0, \\ or \x and two hexadecimal digits)");
    }
  }
  return out;
}

}  // namespace lifeboat::cli
