#include "recovery/restore_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/error.hpp"
#include "recovery/state_folder.hpp"

namespace lifeboat::recovery {
namespace {

Fd open_lock(const Config& config, const char* name) {
  make_state_folder(config);
  return open_file(config.state / name, O_RDWR | O_CREAT);
}

bool try_lock(const Fd& fd, int how) {
  if (::flock(fd.get(), how | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR) return false;
  throw system_error(errno, "lock of a restore", "cannot lock");
}

void wait_for_lock(const Context& c, const Fd& fd, const char* note) {
  bool told = false;
  while (!try_lock(fd, LOCK_EX)) {
    if (!told) c.reporter.note(note);
    told = true;
    c.cancel.sleep_for(Millis(200));
    c.cancel.check();
  }
}

}  // namespace

RestoreLock RestoreLock::for_restore(const Context& c) {
  Fd restore = open_lock(c.config, "restore.lock");
  if (!try_lock(restore, LOCK_EX)) {
    throw Error(Code::refused, c.config.file.string(), "another restore is under way with it",
                "wait until it has ended, or stop it");
  }
  Fd points = open_lock(c.config, "points.lock");
  wait_for_lock(c, points,
                "a point is being taken; waiting for its end. To go on at once, stop it");
  return RestoreLock(std::move(restore), std::move(points));
}

std::optional<RestoreLock> RestoreLock::for_point(const Config& config) {
  Fd restore = open_lock(config, "restore.lock");
  if (!try_lock(restore, LOCK_SH)) return std::nullopt;
  Fd points = open_lock(config, "points.lock");
  if (!try_lock(points, LOCK_SH)) return std::nullopt;
  restore.reset();  // only to look: a restore may begin, and wait for this point
  return RestoreLock(Fd(), std::move(points));
}

HoldLock HoldLock::take(const Context& c) {
  Fd fd = open_lock(c.config, "hold.lock");
  wait_for_lock(c, fd, "an interrupted hold of ClickHouse is being let go; waiting for that");
  return HoldLock(std::move(fd));
}

}  // namespace lifeboat::recovery
