#pragma once

#include <optional>

#include "base/file.hpp"
#include "recovery/context.hpp"

namespace lifeboat::recovery {

// Keeps points and restores of one lifeboat.yaml apart: a point would let go on what a restore
// holds. Released at the end of its life, also by a crash.
class RestoreLock {
 public:
  // For a restore: waits for a point that is being taken, and says so. Error(refused) when another
  // restore is under way.
  static RestoreLock for_restore(const Context& context);
  // For a point, at most together with other points; nullopt while a restore is under way.
  static std::optional<RestoreLock> for_point(const Config& config);

 private:
  RestoreLock(Fd restore, Fd points) : restore_(std::move(restore)), points_(std::move(points)) {}
  Fd restore_;
  Fd points_;
};

// Keeps the holds of ClickHouse's consumption of one lifeboat.yaml apart. A hold's watchdog
// inherits `fd`: when the holder is killed, the lock stays until the watchdog has let go for the
// last time, so that it never lets go on what the next one holds.
class HoldLock {
 public:
  static HoldLock take(const Context& context);  // waits for the one before
  const Fd& fd() const { return fd_; }

 private:
  explicit HoldLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace lifeboat::recovery
