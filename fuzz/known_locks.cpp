#include "vault/known_locks.hpp"

#include "fuzz/targets.hpp"

// The file that tells of locks. What cannot be read is empty, and is no Error.
namespace lifeboat::fuzz {

void known_locks(std::string_view bytes) {
  const std::string id(32, 'a');
  const auto known = vault::decode_locks(std::string(bytes), id);
  if (known.empty()) throw Error(Code::corrupt, "locks", "tell of nothing");
  const auto text = vault::encode_locks(known, id);
  if (vault::decode_locks(text, id) != known) broken("locks are not what was read");
  if (!vault::decode_locks(text, "another").empty()) broken("the locks of another vault");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(known_locks)
