#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "store/object_lock.hpp"
#include "vault/chunks.hpp"
#include "vault/known_locks.hpp"
#include "vault/points.hpp"

// Object Lock: what of a vault is locked, and for how long. A point is locked for `retain` from its
// publication, and what it needs at least as long: content is locked for a quarter more when it is
// written, and again before a point is published that relies on it and finds less than an eighth
// more left. So an old pack is locked again once in an eighth of `retain`, not for each point.
namespace lifeboat::vault {

// What is written once, and a point when it is published. Not: open points and words, which are
// removed; summaries, which cost time only when they are lost; the store's own notes. Signs of life
// of an open point are locked too, some hundred bytes each, as a replacement of a point is one to
// the store.
store::LockRule lock_rule(Millis retain);

// What a point that is about to be published needs, and what opens the vault, by name. What was put
// into `chunks` is flushed.
std::set<std::string> needed_by(const Vault& vault, const Chunks& chunks,
                                const RecoveryPoint& point);

struct LocksDone {
  std::size_t needed = 0;  // objects
  std::size_t asked = 0;   // the others were known to be locked long enough
  std::size_t locked = 0;  // again, of these
};
// Locks these objects again where it is due; `known` then tells of them and of nothing else.
// Several at a time. Error(not_found) when one is gone, unsupported when the store has no locks, …
LocksDone lock_content(const Vault& vault, const std::vector<std::string>& names, Millis retain,
                       KnownLocks& known, const Clock& clock, const Cancel& cancel);

// Of all that the point needs. What the logbook's keeper merges meanwhile is looked for again.
LocksDone lock_needed(const Vault& vault, const Chunks& chunks, const RecoveryPoint& point,
                      Millis retain, KnownLocks& known, const Clock& clock, const Cancel& cancel);

// Which of the objects are locked now, and until when. Several at a time.
std::map<std::string, Timestamp> locked_now(const Vault& vault,
                                            const std::vector<std::string>& names,
                                            const Cancel& cancel);

}  // namespace lifeboat::vault
