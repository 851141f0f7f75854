#pragma once

#include <thread>

#include "base/cancel.hpp"
#include "base/file.hpp"

namespace lifeboat::cli {

// SIGINT and SIGTERM ask `cancel` to stop; the second one ends the program at once (130). Make it
// before any other thread: they inherit the blocked signals. Programs that are started meanwhile
// get them unblocked. One in a process.
class SignalWatch {
 public:
  explicit SignalWatch(Cancel& cancel);
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();

 private:
  void watch();

  Cancel& cancel_;
  Fd signals_;
  Fd ended_;
  std::thread thread_;
};

}  // namespace lifeboat::cli
