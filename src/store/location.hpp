#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.hpp"
#include "store/object_lock.hpp"

namespace lifeboat::store {

// A place in an S3 bucket, and how to reach it. Credentials are no part of it: they come from the
// environment, the profile, a web identity token, the container or the machine, in this order.
struct S3Location {
  std::string bucket;
  std::string prefix;              // "backups/lifeboat"; empty: the bucket's root
  std::string endpoint;            // "http[s]://host[:port]"; empty: AWS
  std::string region;              // empty: as region_of() finds it
  std::optional<bool> path_style;  // none: where there is an endpoint
  std::string profile;             // of ~/.aws; empty: $AWS_PROFILE, default
  std::string ca;                  // who signed the endpoint's certificate; empty: the machine's
  ByteCount memory{64ull << 20};   // of transfers under way; at least 16 MiB
  // How long a call is tried again while the server is away. One try gets four times as long, from
  // 10 s to 2 min, before it is given up.
  Millis retry_for{30'000};

  std::optional<ObjectLock> lock;  // of what is written
  // The bucket's objects as they were then, of one that keeps versions; nothing is written then.
  std::optional<Timestamp> as_of;

  ByteCount bandwidth;  // bytes a second, both ways together; 0: no limit

  friend bool operator==(const S3Location&, const S3Location&) = default;
};

// Where a store is: a directory or a place in S3.
struct Location {
  std::filesystem::path directory;  // when there is no `s3`
  std::optional<S3Location> s3;

  Location() = default;
  Location(std::filesystem::path path) : directory(std::move(path)) {}
  Location(S3Location place) : s3(std::move(place)) {}

  // "/backup/vault", "s3://bucket/prefix".
  std::string shown() const;
  // With all that parse_location() needs to find the same place: "s3://bucket/prefix?region=…".
  std::string text() const;
};

// "s3://bucket/prefix[?endpoint=…&region=…&path_style=…&profile=…&ca=…&as_of=…]", else a
// directory. Error(config) for an S3 place that can be none.
Location parse_location(std::string_view text);

// Error(config) unless the bucket, the prefix and the endpoint are such.
void check(const S3Location& place);

// "a%2Fb" as query strings and S3's listings have it; '/' and ':' stay when `keep_slash`.
std::string percent_encode(std::string_view text, bool keep_slash = false);
std::string percent_decode(std::string_view text);

}  // namespace lifeboat::store
