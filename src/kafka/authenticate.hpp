#pragma once

#include <functional>
#include <string>

#include "kafka/types.hpp"
#include "kafka/wire.hpp"

namespace lifeboat::kafka {

// Logs in on a connection to `server`: SaslHandshake v1, then SaslAuthenticate v2 (KIP-43, KIP-152)
// by PLAIN (RFC 4616) or SCRAM. `call` sends a request and returns the answer. Returns how long the
// session lasts (KIP-368), 0 for ever. Error: denied, config; no message holds the password.
Millis authenticate(const SaslConfig& sasl, const std::string& client_id, const std::string& server,
                    const std::function<std::string(Request)>& call);

}  // namespace lifeboat::kafka
