#pragma once

#include <map>
#include <mutex>

#include "store/object_store.hpp"

namespace lifeboat::store {

// Objects in memory, for tests.
class MemoryStore : public ObjectStore {
 public:
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
  std::string describe() const override { return "memory"; }

 private:
  struct Object {
    std::string bytes;
    std::string version;
  };
  void write(const std::string& name, std::string_view bytes);  // under mutex_

  std::mutex mutex_;
  std::map<std::string, Object> objects_;
  std::uint64_t last_version_ = 0;
};

}  // namespace lifeboat::store
