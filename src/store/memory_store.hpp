#pragma once

#include <map>
#include <mutex>

#include "base/clock.hpp"
#include "store/object_lock.hpp"
#include "store/object_store.hpp"

namespace lifeboat::store {

// Objects in memory, for tests.
class MemoryStore : public ObjectStore {
 public:
  MemoryStore() = default;
  // One that locks objects as the rule says.
  MemoryStore(LockRule locks, const Clock& clock) : locks_(std::move(locks)), clock_(&clock) {}

  std::optional<std::string> get(const std::string& name) override;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override;
  void put(const std::string& name, std::string_view bytes) override;
  PutResult put_if_absent(const std::string& name, std::string_view bytes) override;
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen_version) override;
  void list(const std::string& prefix,
            const std::function<void(const ObjectInfo&)>& visit) override;
  bool remove(const std::string& name) override;
  std::optional<ObjectInfo> stat(const std::string& name) override;
  std::optional<Timestamp> locked_until(const std::string& name) override;
  bool lock_until(const std::string& name, Timestamp until) override;
  std::string describe() const override { return "memory"; }

 private:
  struct Object {
    std::string bytes;
    std::string version;
    std::optional<Timestamp> locked;
  };
  void write(const std::string& name, std::string_view bytes, std::optional<Write> how = {});

  LockRule locks_;
  const Clock* clock_ = nullptr;

  std::mutex mutex_;  // of what follows
  std::map<std::string, Object> objects_;
  std::uint64_t last_version_ = 0;
};

}  // namespace lifeboat::store
