#pragma once

#include "base/error.hpp"

namespace lifeboat::vault {

// What is wrong with an object or the bytes under it, not with the way there.
inline bool is_damage(Code code) {
  return code == Code::corrupt || code == Code::not_found || code == Code::unsupported ||
         code == Code::failed;
}

// The same, known for sure: what a newer Lifeboat wrote may be whole.
inline bool is_known_damage(Code code) {
  return is_damage(code) && code != Code::unsupported;
}

// The store did not answer, after all tries.
inline bool is_away(Code code) {
  return code == Code::unavailable || code == Code::timeout;
}

// Of so many objects; after more it is the store that is away. Each takes all of its tries.
constexpr unsigned kMostAway = 3;

}  // namespace lifeboat::vault
