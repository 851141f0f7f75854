#pragma once

#include <functional>
#include <string>

#include "base/types.hpp"

namespace lifeboat::store {

// S3's Object Lock: until a time nobody can delete an object's bytes (compliance), or only who has
// a right of its own for that (governance).
struct ObjectLock {
  enum class Mode { governance, compliance };
  Mode mode = Mode::compliance;
  Millis retain{};  // what is kept can't be deleted for so long

  friend bool operator==(const ObjectLock&, const ObjectLock&) = default;
};

enum class Write { create, replace };  // put_if_absent(), put_if_unchanged()

// For how long an object is locked by the write itself; zero: not at all. What is put() never is.
// Called from several threads.
using LockRule = std::function<Millis(const std::string& name, Write how)>;

}  // namespace lifeboat::store
