#pragma once

#include <mutex>

#include "store/around_store.hpp"

namespace lifeboat::store {

// For tests: a disk with room for so many bytes more. A write that does not fit does not happen and
// throws Error(no_space). Removing gives nothing back; add_room() does. Thread-safe.
class FullStore : public AroundStore {
 public:
  FullStore(ObjectStore& inner, ByteCount room) : AroundStore(inner), room_(room) {}

  void add_room(ByteCount more);

 private:
  void around(Call& call, const Answer& answer, const std::function<void()>& pass_on) override;

  std::mutex mutex_;
  ByteCount room_;
};

}  // namespace lifeboat::store
