#pragma once

#include "recovery/context.hpp"
#include "recovery/inspect.hpp"

// Whether several Lifeboats may write to the vault at a time: its store must keep them apart.
namespace lifeboat::recovery {

// Lets writers race in the vault's store and records there what came out. What cannot be found out
// is a finding too.
Finding check_writers(const Context& context);

// What the vault's store was seen to do, all by trying: check_writers(); whether these credentials
// may delete, which a writer need not; with object_lock in lifeboat.yaml, whether a lock can be
// undone.
void check_store(const Context& context, std::vector<Finding>& findings);

// For who is going to write: says loudly when the last probe found that the store does not keep
// writers apart. Error(refused) when lifeboat.yaml asks for several archivers on such a store.
void warn_of_single_writer(const Context& context, store::ObjectStore& store);

}  // namespace lifeboat::recovery
