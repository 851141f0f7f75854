#pragma once

#include "recovery/context.hpp"
#include "vault/chunks.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {

// With `s3: {object_lock: …}` in lifeboat.yaml: locks what a point that is about to be published
// needs, and what opens the vault, as far as it is not locked long enough already
// (vault/locks.hpp). What was put into `chunks` is flushed. The state folder keeps what is known of
// locks.
void lock_content_of(const Context& context, const vault::Vault& vault, const vault::Chunks& chunks,
                     const vault::RecoveryPoint& point);

}  // namespace lifeboat::recovery
