#include "store/full_store.hpp"

#include <cerrno>

#include "base/error.hpp"

namespace lifeboat::store {

void FullStore::add_room(ByteCount more) {
  std::lock_guard lock(mutex_);
  room_ = room_ + more.value;
}

void FullStore::take(ByteCount size) {
  std::lock_guard lock(mutex_);
  if (size > room_) throw system_error(ENOSPC, describe(), "cannot write");
  room_ = ByteCount(room_ - size);
}

void FullStore::put(const std::string& name, std::string_view bytes) {
  take(ByteCount(bytes.size()));
  inner().put(name, bytes);
}

PutResult FullStore::put_if_absent(const std::string& name, std::string_view bytes) {
  take(ByteCount(bytes.size()));
  return inner().put_if_absent(name, bytes);
}

PutResult FullStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                      const std::string& seen_version) {
  take(ByteCount(bytes.size()));
  return inner().put_if_unchanged(name, bytes, seen_version);
}

}  // namespace lifeboat::store
