#pragma once

#include <mutex>

#include "store/forwarding_store.hpp"

namespace lifeboat::store {

// For tests: a disk with room for so many bytes more. A write that does not fit does not happen and
// throws Error(no_space). Removing gives nothing back; add_room() does. Thread-safe.
class FullStore : public ForwardingStore {
 public:
  FullStore(ObjectStore& inner, ByteCount room) : ForwardingStore(inner), room_(room) {}

  void add_room(ByteCount more);

  void put(const std::string& name, std::string_view bytes) override;
  PutResult put_if_absent(const std::string& name, std::string_view bytes) override;
  PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                             const std::string& seen_version) override;

 private:
  void take(ByteCount size);

  std::mutex mutex_;
  ByteCount room_;
};

}  // namespace lifeboat::store
