#pragma once

#include <map>
#include <string>

#include "base/types.hpp"

// What is kept of locks beside the vault, in a file. What is done with it: locks.hpp.
namespace lifeboat::vault {

// Until when objects are locked for sure, as far as somebody has looked: it spares asking for each
// object before each point. Locks only grow, so what is known stays true.
using KnownLocks = std::map<std::string, Timestamp>;
std::string encode_locks(const KnownLocks& known, const std::string& vault_id);
// Empty when it is another vault's, or not such a text: all is asked anew then.
KnownLocks decode_locks(const std::string& text, const std::string& vault_id);

}  // namespace lifeboat::vault
