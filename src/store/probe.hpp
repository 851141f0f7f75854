#pragma once

#include <optional>

#include "base/random.hpp"
#include "store/capabilities.hpp"
#include "store/object_store.hpp"

namespace lifeboat::store {

struct ProbeOptions {
  int writers = 4;
  int rounds = 3;
};

// Lets writers race on objects of 1 MiB below probe/, which it removes. A store that keeps them
// apart passes always; one that does not may pass when no two writers met, so ask again now and
// then.
Capabilities probe(ObjectStore& store, Random& random, const ProbeOptions& options = {});

// What the last probe found, kept in the store as the object `capabilities` (JSON with a checksum).
// nullopt: none was recorded, it cannot be read, or it is a yes that is not byte for byte what was
// written.
void record(ObjectStore& store, const Capabilities& capabilities);
std::optional<Capabilities> recorded(ObjectStore& store);

}  // namespace lifeboat::store
