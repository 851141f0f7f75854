#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "store/location.hpp"

namespace lifeboat::store {

// What a bucket and these credentials were seen to do with a locked object.
struct LockSeen {
  bool holds = false;              // a small object was locked, and no request of ours undid that
  std::string broken;              // what did; empty: it holds
  std::vector<std::string> notes;  // what could not be tried, or lets others undo it
};

// Writes a small object below probe/, locked for a minute as `place.lock` says, and tries to make
// the lock shorter, to delete the version, and in governance mode to go round the lock. The object
// stays until its lock has ended and somebody clears what is noncurrent. Error when the bucket
// can't be reached or takes no locks (unsupported, failed, denied).
LockSeen probe_lock(const S3Location& place, Clock& clock, Random& random);

}  // namespace lifeboat::store
