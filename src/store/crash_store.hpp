#pragma once

#include <cstdint>
#include <mutex>

#include "store/around_store.hpp"

namespace lifeboat::store {

// What a CrashStore throws. Not an Error on purpose: nothing that handles Errors may handle it.
struct Crashed {};

// For tests: the program "dies" at its n-th write (1 is the first). That write happens or does not,
// as told, then it throws Crashed, and so does every later call, reads included. Thread-safe.
class CrashStore : public AroundStore {
 public:
  enum class LastWrite { happens, does_not };
  static constexpr std::uint64_t kNever = 0;
  CrashStore(ObjectStore& inner, std::uint64_t crash_at, LastWrite last_write)
      : AroundStore(inner), crash_at_(crash_at), last_write_(last_write) {}

  std::uint64_t writes() const;  // begun so far, the deadly one included
  bool crashed() const;

 private:
  void around(Call& call, const Answer& answer, const std::function<void()>& pass_on) override;

  mutable std::mutex mutex_;
  std::uint64_t crash_at_;
  LastWrite last_write_;
  std::uint64_t writes_ = 0;
  bool crashed_ = false;
};

}  // namespace lifeboat::store
