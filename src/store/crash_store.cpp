#include "store/crash_store.hpp"

namespace lifeboat::store {

std::uint64_t CrashStore::writes() const {
  std::lock_guard lock(mutex_);
  return writes_;
}

bool CrashStore::crashed() const {
  std::lock_guard lock(mutex_);
  return crashed_;
}

void CrashStore::around(Call& call, const Answer&, const std::function<void()>& pass_on) {
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    if (crashed_) throw Crashed{};
    if (call.writes()) last = ++writes_ == crash_at_;
    crashed_ = last;
  }
  if (!last || last_write_ == LastWrite::happens) pass_on();
  if (last) throw Crashed{};
}

}  // namespace lifeboat::store
