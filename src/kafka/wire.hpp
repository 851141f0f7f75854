#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace lifeboat::kafka {

// The primitive types of https://kafka.apache.org/protocol. "Compact" ones and tagged fields belong
// to the flexible versions of an API (KIP-482).

enum class Api : std::int16_t {
  produce = 0,
  fetch = 1,
  list_offsets = 2,
  metadata = 3,
  offset_commit = 8,
  offset_fetch = 9,
  find_coordinator = 10,
  leave_group = 13,
  describe_groups = 15,
  list_groups = 16,
  sasl_handshake = 17,
  api_versions = 18,
  init_producer_id = 22,
  sasl_authenticate = 36,
  delete_groups = 42,
};

enum class Header { classic, flexible };

// A request as it goes over the wire: size, header, then what is appended. Connection::send() puts
// the correlation id in.
class Request {
 public:
  Request(Api api, std::int16_t version, Header header, std::string_view client_id);

  template <std::integral T>
  Request& be(T value) {
    append_be(out_, value);
    return *this;
  }
  Request& string(std::string_view value);
  Request& null_string() { return be<std::int16_t>(-1); }
  Request& compact_string(std::string_view value);
  Request& compact_size(std::size_t n);  // of an array
  Request& uuid(std::string_view bytes16);
  Request& bytes(std::string_view value);  // classic: 32-bit length
  // One such value of two parts that are not copied: they stay in place until the request is sent.
  Request& bytes_in_place(std::string_view first, std::string_view second);
  Request& no_tags() { return be<std::int8_t>(0); }

  Api api() const { return api_; }
  std::int16_t version() const { return version_; }
  std::size_t size() const { return out_.size() + placed_; }
  // Puts the correlation id in. The request is then these pieces, one after the other; they live as
  // long as the request and what it refers to.
  std::vector<std::string_view> pieces(std::int32_t correlation_id);

 private:
  void uvarint(std::uint64_t value);

  Api api_;
  std::int16_t version_;
  std::string out_;
  struct Placed {
    std::size_t at;  // in out_
    std::string_view bytes;
  };
  std::vector<Placed> in_place_;
  std::size_t placed_ = 0;  // bytes in all of them
};

// Reads an answer. All lengths are checked against what is left; Error(corrupt) otherwise. Views
// point into the bytes given.
class Answer {
 public:
  // `bytes` begins with the correlation id.
  Answer(std::string_view bytes, Header header, std::string subject);

  template <std::integral T>
  T be() {
    return reader_.be<T>();
  }
  bool boolean() { return be<std::int8_t>() != 0; }
  std::string_view string();  // null reads as empty
  std::string_view compact_string();
  // Elements of an array, of which each takes at least `least` bytes. Null reads as 0.
  std::size_t size(std::size_t least);
  std::size_t compact_size(std::size_t least);
  std::string_view bytes();          // classic: 32-bit length; null reads as empty
  std::string_view compact_bytes();  // null reads as empty
  std::string_view uuid() { return reader_.take(16); }
  std::uint64_t uvarint();
  std::string_view take(std::size_t n) { return reader_.take(n); }
  void skip_tags();
  // Calls f(tag, bytes of the tagged field) for each.
  template <typename F>
  void tags(F&& f) {
    for (auto n = uvarint(); n > 0; --n) {
      const auto tag = uvarint();
      f(tag, reader_.take(uvarint()));
    }
  }
  [[noreturn]] void corrupt(const std::string& message) const;

 private:
  std::size_t checked_size(std::int64_t n, std::size_t least);
  ByteReader reader_;
};

// 16 bytes <-> the 22 characters that Kafka prints (URL-safe base64 without padding).
std::string print_uuid(std::string_view bytes16);
std::optional<std::string> parse_uuid(std::string_view text);

}  // namespace lifeboat::kafka
