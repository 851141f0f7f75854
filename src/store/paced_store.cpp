#include "store/paced_store.hpp"

#include <algorithm>

namespace lifeboat::store {

void PacedStore::around(Call& call, const Answer&, const std::function<void()>& pass_on) {
  Millis wait{};
  {
    std::lock_guard lock(mutex_);
    wait = debt();
  }
  if (wait > Millis(0)) pause_.sleep(wait);
  charge(call.sent);
  pass_on();
  charge(call.received);
}

Millis PacedStore::debt() const {
  const auto left = paid_until_ - pause_.clock.get().steady();
  return std::chrono::ceil<Millis>(std::max(left, decltype(left)::zero()));
}

void PacedStore::charge(ByteCount bytes) {
  const std::chrono::duration<double> cost(static_cast<double>(bytes.value) /
                                           static_cast<double>(rate_.value));
  std::lock_guard lock(mutex_);
  paid_until_ = std::max(paid_until_, pause_.clock.get().steady()) +
                std::chrono::duration_cast<std::chrono::steady_clock::duration>(cost);
}

}  // namespace lifeboat::store
