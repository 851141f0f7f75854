#include "store/full_store.hpp"

#include <cerrno>

#include "base/error.hpp"

namespace lifeboat::store {

void FullStore::add_room(ByteCount more) {
  std::lock_guard lock(mutex_);
  room_ = room_ + more.value;
}

void FullStore::around(Call& call, const Answer&, const std::function<void()>& pass_on) {
  {
    std::lock_guard lock(mutex_);
    if (call.sent > room_) throw system_error(ENOSPC, describe(), "cannot write");
    room_ = ByteCount(room_ - call.sent);
  }
  pass_on();
}

}  // namespace lifeboat::store
