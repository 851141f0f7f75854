#pragma once

#include <set>
#include <string>
#include <vector>

#include "vault/summary_format.hpp"

namespace lifeboat::vault {

struct MergeRule {
  Millis after{3'600'000};      // younger objects are left alone
  ByteCount to{64u << 20};      // merged objects become about so large; half of it is large enough
  std::size_t least = 16;       // so few small objects are left alone, unless they fill one
  std::size_t most = 4096;      // objects that become one…
  std::size_t extents = 65536;  // …and extents that they hold
};

// Which objects of the logbook become one. Objects of an incarnation are taken when it is one of
// `own`, or has written nothing for `after`: so living writers keep out of each other's way.
// Objects are merged with others of about their size, the oldest first: each byte is written again
// only a few times. Pure.
std::vector<std::vector<ObjectEntry>> plan_merges(const std::vector<ObjectEntry>& objects,
                                                  const std::set<std::string>& own, Timestamp now,
                                                  const MergeRule& rule);

// An object and what of it was pruned.
struct PrunedObject {
  ObjectEntry object;
  ByteCount bytes;
  std::uint32_t extents = 0;
};

// Which of them are written anew, together, without that: those of which a quarter was pruned. Runs
// of which nothing is left come first: they need no space. `objects`: all; the same rules say whose
// objects are taken. Pure.
std::vector<std::vector<ObjectEntry>> plan_rewrites(const std::vector<PrunedObject>& pruned,
                                                    const std::vector<ObjectEntry>& objects,
                                                    const std::set<std::string>& own, Timestamp now,
                                                    const MergeRule& rule);

}  // namespace lifeboat::vault
