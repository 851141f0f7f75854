#pragma once

#include <memory>

#include "store/location.hpp"
#include "store/object_store.hpp"

namespace lifeboat::store {

// The store there; one in S3 with the patience and the pace that the location asks for.
// One in S3 locks what it writes as the rule says, if the location asks for locks.
// Error(not_found) when the directory or the bucket does not exist.
std::unique_ptr<ObjectStore> open_store(const Location& location, LockRule locks = {});

// Makes the directory, its parents too, durably, when it is not there. A bucket is not made: who
// pays for it, and where it lies, is not to be guessed.
void create_store(const Location& location);

// Whether there is a place for objects already: the directory; a bucket is taken to be there.
bool store_exists(const Location& location);

}  // namespace lifeboat::store
