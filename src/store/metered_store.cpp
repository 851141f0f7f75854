#include "store/metered_store.hpp"

namespace lifeboat::store {

Traffic MeteredStore::traffic() const {
  std::lock_guard lock(mutex_);
  return traffic_;
}

void MeteredStore::around(Call& call, const Answer&, const std::function<void()>& pass_on) {
  // At the end of the call, whichever way it ends.
  struct Count {
    MeteredStore& store;
    const Call& call;
    std::chrono::steady_clock::time_point begun = store.clock_.steady();
    bool good = false;
    ~Count() {
      const auto seconds = seconds_between(begun, store.clock_.steady());
      std::lock_guard lock(store.mutex_);
      auto& kind = store.traffic_.kinds[static_cast<std::size_t>(call.op)];
      ++kind.calls;
      kind.seconds += seconds;
      if (!good) {
        ++kind.failed;
        return;
      }
      kind.sent = kind.sent + call.sent.value;
      kind.received = kind.received + call.received.value;
    }
  } count{*this, call};
  pass_on();
  count.good = true;
}

}  // namespace lifeboat::store
