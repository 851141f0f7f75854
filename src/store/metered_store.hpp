#pragma once

#include <array>
#include <mutex>

#include "store/around_store.hpp"
#include "store/pause.hpp"

namespace lifeboat::store {

// What went through a store, by kind of call. Copies are consistent.
struct Traffic {
  struct Kind {
    std::uint64_t calls = 0;
    std::uint64_t failed = 0;  // of these
    ByteCount sent;
    ByteCount received;
    double seconds = 0;  // of all calls together
  };
  std::array<Kind, kOps> kinds{};

  const Kind& of(Op op) const { return kinds[static_cast<std::size_t>(op)]; }
};

// Counts what goes through. Thread-safe.
class MeteredStore : public AroundStore {
 public:
  explicit MeteredStore(std::unique_ptr<ObjectStore> inner, Clock& clock = Clock::real())
      : AroundStore(std::move(inner)), clock_(clock) {}

  Traffic traffic() const;

 private:
  void around(Call& call, const Answer& answer, const std::function<void()>& pass_on) override;

  Clock& clock_;
  mutable std::mutex mutex_;
  Traffic traffic_;  // under mutex_
};

}  // namespace lifeboat::store
