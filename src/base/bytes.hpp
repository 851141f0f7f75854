#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace lifeboat {

// Byte strings are std::string / std::string_view throughout.

template <std::integral T>
constexpr T to_big_endian(T v) {
  if constexpr (sizeof(T) == 8)
    return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(v)));
  if constexpr (sizeof(T) == 4)
    return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(v)));
  if constexpr (sizeof(T) == 2)
    return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(v)));
  return v;
}
static_assert(std::endian::native == std::endian::little,
              "this program runs on little-endian only");

template <std::integral T>
T load_be(const char* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return to_big_endian(v);
}
template <std::integral T>
T load_le(const char* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <std::integral T>
void append_be(std::string& out, T v) {
  v = to_big_endian(v);
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}
template <std::integral T>
void append_le(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

// Reads outside bytes front to back. Every read is checked: too short throws Error(corrupt) that
// names `subject`. The viewed bytes must outlive the reader.
class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string subject)
      : bytes_(bytes), subject_(std::move(subject)) {}

  template <std::integral T>
  T be() {
    return load_be<T>(take(sizeof(T)).data());
  }
  template <std::integral T>
  T le() {
    return load_le<T>(take(sizeof(T)).data());
  }
  std::string_view take(std::size_t n) {
    if (n > left()) {
      throw Error(Code::corrupt, subject_,
                  "ends too early: " + std::to_string(n) + " bytes wanted at " +
                      std::to_string(at_) + ", " + std::to_string(left()) + " left");
    }
    auto view = bytes_.substr(at_, n);
    at_ += n;
    return view;
  }
  std::size_t left() const { return bytes_.size() - at_; }
  std::size_t at() const { return at_; }
  std::string_view rest() const { return bytes_.substr(at_); }
  const std::string& subject() const { return subject_; }
  void expect_end() const {
    if (left() != 0) {
      throw Error(Code::corrupt, subject_, std::to_string(left()) + " bytes too many");
    }
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::string subject_;
};

std::string to_hex(std::string_view bytes);  // lower case

}  // namespace lifeboat
