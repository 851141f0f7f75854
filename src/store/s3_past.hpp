#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/object_store.hpp"
#include "store/s3_client.hpp"

namespace lifeboat::store {

// The objects of a bucket that keeps versions, as they were at a moment: of each key the newest
// version that was there then, unless it was a delete marker. What was written, replaced and
// removed since is not seen. S3 tells times in whole seconds, and of an object that was written in
// parts when that began. Thread-safe. Memory: about 200 bytes for each object that was looked at.
class S3Past {
 public:
  S3Past(S3Client& client, Timestamp at, std::string described)
      : client_(client), at_(at), described_(std::move(described)) {}

  // The id of the version that the key had; nullopt: it was not there.
  std::optional<std::string> version_of(const std::string& key);
  // Those whose keys begin so, sorted; names are whole keys.
  std::vector<ObjectInfo> list(const std::string& prefix);

 private:
  S3Client& client_;
  const Timestamp at_;
  const std::string described_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::string> versions_;  // by key; under mutex_
};

}  // namespace lifeboat::store
