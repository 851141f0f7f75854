#include "fuzz/mutator.hpp"

#include <algorithm>
#include <string_view>

namespace lifeboat::fuzz {
namespace {

constexpr std::size_t kLongest = 100'000;

bool like_json(std::string_view bytes) {
  return bytes.find("\":") != std::string_view::npos;
}

}  // namespace

std::string Mutator::next() {
  auto bytes = seeds_[below(seeds_.size())];
  const bool json = like_json(bytes);
  for (auto n = 1 + below(json ? 3 : 6); n > 0; --n) {
    if (json && below(4) > 0) {
      change_value(bytes);
    } else {
      change(bytes);
    }
  }
  if (bytes.size() > kLongest) bytes.resize(kLongest);
  return bytes;
}

char Mutator::odd_byte() {
  static constexpr unsigned char odd[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x3f, 0x10};
  return static_cast<char>(below(2) == 0 ? random_() : odd[below(std::size(odd))]);
}

std::string Mutator::odd_value() {
  static constexpr const char* odd[] = {"null",
                                        "true",
                                        "0",
                                        "-1",
                                        "1",
                                        "0.5",
                                        "-0",
                                        "1e308",
                                        "2147483648",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "\"\"",
                                        "\"..\"",
                                        "\"\\u0000\"",
                                        "\"2026-02-30T00:00:00Z\"",
                                        "\"0000-01-01T00:00:00+23:59\"",
                                        "[]",
                                        "{}",
                                        "[[]]",
                                        "{\"a\":0}"};
  const auto which = below(std::size(odd) + 1);
  if (which < std::size(odd)) return odd[which];
  const auto depth = std::size_t{1} << below(below(16) == 0 ? 16 : 8);  // the deep ones take time
  return std::string(depth, '[') + std::string(depth, ']');
}

// What lies between two marks (":" or "," before, ",", "]" or "}" behind) becomes another value, is
// told twice, or goes.
void Mutator::change_value(std::string& json) {
  const auto at = below(json.size() + 1);
  const auto before = json.find_last_of(":,[", at);
  const auto begin = before == std::string::npos ? 0 : before + 1;
  const auto end = std::min(json.find_first_of(",]}", begin), json.size());
  switch (below(4)) {
    case 0:
      json.erase(begin, std::min(end + 1, json.size()) - begin);
      break;
    case 1:
      json.insert(begin, json.substr(begin, end - begin) + ",");
      break;
    default:
      json.replace(begin, end - begin, odd_value());
  }
}

void Mutator::change(std::string& bytes) {
  const auto at = below(bytes.size() + 1);
  const auto left = bytes.size() - at;
  switch (below(7)) {
    case 0:
      if (left > 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      break;
    case 1:
      if (left > 0) bytes[at] = odd_byte();
      break;
    case 2:
      bytes.resize(at);
      break;
    case 3:
      bytes.erase(at, 1 + below(8));
      break;
    case 4:
      bytes.insert(at, 1 + below(8), odd_byte());
      break;
    case 5: {  // a length or a number that lies
      const auto width = std::min<std::size_t>(left, below(2) == 0 ? 4 : 8);
      for (std::size_t i = 0; i < width; ++i) bytes[at + i] = odd_byte();
      break;
    }
    default: {  // a part of another input
      const auto& other = seeds_[below(seeds_.size())];
      const auto from = below(other.size() + 1);
      bytes.insert(at, other, from, below(64));
    }
  }
}

}  // namespace lifeboat::fuzz
