#pragma once

#include <mutex>

#include "store/around_store.hpp"
#include "store/pause.hpp"

namespace lifeboat::store {

// So many bytes a second, both ways together: a call waits until what was moved before it has had
// its time. A large object goes through at once, and those after it wait for it. Thread-safe.
class PacedStore : public AroundStore {
 public:
  PacedStore(std::unique_ptr<ObjectStore> inner, ByteCount bytes_per_second,
             Pause pause = Pause::real())
      : AroundStore(std::move(inner)), rate_(bytes_per_second), pause_(std::move(pause)) {}

 private:
  void around(Call& call, const Answer& answer, const std::function<void()>& pass_on) override;
  void charge(ByteCount bytes);
  Millis debt() const;  // under mutex_

  ByteCount rate_;
  Pause pause_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point paid_until_{};  // under mutex_
};

}  // namespace lifeboat::store
