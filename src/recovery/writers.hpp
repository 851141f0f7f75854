#pragma once

#include "recovery/context.hpp"
#include "recovery/inspect.hpp"
#include "store/probe.hpp"

// Whether several Lifeboats may write to the vault at a time: its store must keep them apart.
namespace lifeboat::recovery {

enum class Ask {
  when_unknown,  // when nothing is recorded that can be read
  again,         // also when a yes is recorded: it may have been luck
  at_length,     // whatever is recorded, and many rounds of it
};

// Lets writers race in the vault's store, and records there what came out. A no that is recorded
// stands: a store that is bad may pass by luck, so only Ask::at_length lifts it.
store::Capabilities ask_writers(const Context& context, store::ObjectStore& store, Ask how);

// The same as a finding. What cannot be found out is one too.
Finding check_writers(const Context& context, Ask how);

// What the vault's store was seen to do, all by trying: check_writers(); whether these credentials
// may delete, which a writer need not; with object_lock in lifeboat.yaml, whether a lock can be
// undone.
void check_store(const Context& context, Ask how, std::vector<Finding>& findings);

// For who only looks: why one Lifeboat at a time must write to the vault, or that this is not
// known. nullopt: several may, as far as it was probed.
std::optional<std::string> single_writer(store::ObjectStore& store);

// For who is going to write: asks a store of which nothing is recorded, and says loudly when it
// does not keep writers apart, or does not let itself be asked. Error(refused) when lifeboat.yaml
// asks for several archivers on such a store.
void warn_of_single_writer(const Context& context, store::ObjectStore& store);

}  // namespace lifeboat::recovery
