#include "store/open_store.hpp"

#include "store/directory_store.hpp"
#include "store/paced_store.hpp"
#include "store/retry_store.hpp"
#include "store/s3_store.hpp"

namespace lifeboat::store {

std::unique_ptr<ObjectStore> open_store(const Location& location, LockRule locks) {
  if (location.s3) {
    const auto& place = *location.s3;
    std::unique_ptr<ObjectStore> store = std::make_unique<S3Store>(place, std::move(locks));
    if (place.bandwidth > ByteCount(0)) {
      store = std::make_unique<PacedStore>(std::move(store), place.bandwidth);
    }
    RetryPolicy policy;
    policy.patience = place.retry_for;
    return std::make_unique<RetryStore>(std::move(store), policy);
  }
  return std::make_unique<DirectoryStore>(location.directory);
}

void create_store(const Location& location) {
  if (!location.s3) DirectoryStore::create(location.directory);
}

bool store_exists(const Location& location) {
  return location.s3 || std::filesystem::exists(location.directory);
}

}  // namespace lifeboat::store
