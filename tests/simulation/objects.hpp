#pragma once

#include <map>
#include <optional>
#include <string>

#include "store/memory_store.hpp"
#include "store/object_lock.hpp"

namespace lifeboat::vault::simulation {

// As they are, without faults; and until when they are locked, as S3 has it: who removes or
// replaces a locked object is not refused, and its bytes are kept behind the back of readers. So
// nobody but the rules keeps them from being removed (Model).
class Objects : public store::MemoryStore {
 public:
  unsigned calls_at_once() const override { return 1; }

  // A new version has the lock of its own write.
  void set_lock(const std::string& name, std::optional<Timestamp> until) {
    if (until) {
      locks_[name] = *until;
    } else {
      locks_.erase(name);
    }
  }
  // False: it is not there.
  bool extend_lock(const std::string& name, Timestamp until) {
    if (!stat(name)) return false;
    auto& lock = locks_[name];
    lock = std::max(lock, until);
    return true;
  }
  bool remove(const std::string& name) override {
    locks_.erase(name);
    return MemoryStore::remove(name);
  }
  // Also one that has ended; Timestamp(0): there was none.
  Timestamp lock_of(const std::string& name) const {
    const auto it = locks_.find(name);
    return it == locks_.end() ? Timestamp(0) : it->second;
  }

 private:
  std::map<std::string, Timestamp> locks_;
};

}  // namespace lifeboat::vault::simulation
