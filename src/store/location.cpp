#include "store/location.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace lifeboat::store {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr std::size_t kMaxPrefix = 400;  // with a name of 512 it stays below S3's 1024

bool is_plain(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
         c == '~';
}

[[noreturn]] void wrong(std::string_view text, const std::string& what) {
  throw Error(Code::config, std::string(text), what,
              "write it as s3://bucket/prefix; `lifeboat init --print` shows a commented file");
}

void set(S3Location& place, const std::string& key, const std::string& value,
         std::string_view text) {
  if (key == "endpoint") {
    place.endpoint = value;
  } else if (key == "region") {
    place.region = value;
  } else if (key == "path_style" && (value == "true" || value == "false")) {
    place.path_style = value == "true";
  } else if (key == "profile") {
    place.profile = value;
  } else if (key == "ca") {
    place.ca = value;
  } else if (auto time = key == "as_of" ? parse_timestamp(value) : std::nullopt) {
    place.as_of = time;
  } else {
    wrong(text, fmt::format("'{}={}' is not known", key, value));
  }
}

}  // namespace

std::string percent_encode(std::string_view text, bool keep_slash) {
  std::string out;
  for (char c : text) {
    if (is_plain(c) || (keep_slash && (c == '/' || c == ':'))) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
            text.data() + i + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string Location::shown() const {
  if (!s3) return directory.string();
  return std::string(kScheme) + s3->bucket + (s3->prefix.empty() ? "" : "/" + s3->prefix);
}

std::string Location::text() const {
  std::string out = shown();
  if (!s3) return out;
  char separator = '?';
  auto add = [&](std::string_view key, const std::string& value) {
    if (value.empty()) return;
    out += fmt::format("{}{}={}", separator, key, percent_encode(value, true));
    separator = '&';
  };
  add("endpoint", s3->endpoint);
  add("region", s3->region);
  if (s3->path_style) add("path_style", *s3->path_style ? "true" : "false");
  add("profile", s3->profile);
  add("ca", s3->ca);
  if (s3->as_of) add("as_of", to_string(*s3->as_of));
  return out;
}

Location parse_location(std::string_view text) {
  if (!text.starts_with(kScheme)) return Location(std::filesystem::path(text));
  S3Location place;
  auto rest = text.substr(kScheme.size());
  auto question = rest.find('?');
  auto query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  auto path = rest.substr(0, question);
  auto slash = path.find('/');
  place.bucket = path.substr(0, slash);
  if (slash != std::string_view::npos) place.prefix = path.substr(slash + 1);
  while (place.prefix.ends_with('/')) place.prefix.pop_back();
  while (!query.empty()) {
    auto one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    auto equals = one.find('=');
    if (equals == std::string_view::npos) wrong(text, fmt::format("'{}' has no value", one));
    set(place, std::string(one.substr(0, equals)), percent_decode(one.substr(equals + 1)), text);
  }
  check(place);
  return Location(std::move(place));
}

void check(const S3Location& place) {
  const auto text = Location(place).shown();
  auto allowed = [](char c) { return is_plain(c) && c != '~'; };
  if (place.bucket.size() < 3 || place.bucket.size() > 63 ||
      !std::all_of(place.bucket.begin(), place.bucket.end(), allowed)) {
    wrong(text, fmt::format("'{}' is no bucket's name", place.bucket));
  }
  if (!place.prefix.empty() && (!valid_name(place.prefix) || place.prefix.size() > kMaxPrefix)) {
    wrong(text, fmt::format("'{}' is no prefix that objects can have", place.prefix));
  }
  const auto& endpoint = place.endpoint;
  if (endpoint.empty()) return;
  const bool tls = endpoint.starts_with("https://");
  const auto host = endpoint.substr(std::min<std::size_t>(endpoint.size(), tls ? 8 : 7));
  if ((!tls && !endpoint.starts_with("http://")) || host.empty() ||
      host.find_first_of("/?#@ ") != std::string::npos) {
    throw Error(Code::config, text, "'" + endpoint + "' is no endpoint",
                "write it as https://host or https://host:port");
  }
}

}  // namespace lifeboat::store
