#pragma once

#include "recovery/context.hpp"
#include "recovery/inspect.hpp"

// Whether several Lifeboats may write to the vault at a time: its store must keep them apart.
namespace lifeboat::recovery {

// Lets writers race in the vault's store and records there what came out. What cannot be found out
// is a finding too.
Finding check_writers(const Context& context);

// For who is going to write: says loudly when the last probe found that the store does not keep
// writers apart. Error(refused) when lifeboat.yaml asks for several archivers on such a store.
void warn_of_single_writer(const Context& context, store::ObjectStore& store);

}  // namespace lifeboat::recovery
