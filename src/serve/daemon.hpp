#pragma once

#include "recovery/context.hpp"
#include "vault/vault.hpp"

namespace lifeboat::serve {

// `lifeboat run`: archives all logs, and takes a point every config.point_every (the first one at
// once when the vault has none, or the newest is older than that). A point that fails is logged and
// tried again at the next turn (at most a minute later); archiving goes on. Returns when cancelled,
// with everything that was received made durable. Error(refused) when another `run` of this
// lifeboat.yaml is alive. `store` is the vault's, for the metrics.
void run_daemon(const recovery::Context& context, vault::Vault vault,
                const store::MeteredStore& store);

}  // namespace lifeboat::serve
