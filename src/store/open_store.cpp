#include "store/open_store.hpp"

#include "store/directory_store.hpp"
#include "store/s3_store.hpp"

namespace lifeboat::store {

std::unique_ptr<ObjectStore> open_store(const Location& location) {
  if (location.s3) return std::make_unique<S3Store>(*location.s3);
  return std::make_unique<DirectoryStore>(location.directory);
}

void create_store(const Location& location) {
  if (!location.s3) DirectoryStore::create(location.directory);
}

bool store_exists(const Location& location) {
  return location.s3 || std::filesystem::exists(location.directory);
}

}  // namespace lifeboat::store
