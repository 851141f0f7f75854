#include "cli/signals.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "cli/output.hpp"

namespace lifeboat::cli {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

void unblock_in_child() {
  sigset_t set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace

SignalWatch::SignalWatch(Cancel& cancel) : cancel_(cancel) {
  sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  static const int once = pthread_atfork(nullptr, nullptr, unblock_in_child);
  static_cast<void>(once);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC));
  if (!signals_) throw system_error(errno, "signalfd", "watching for signals");
  ended_ = Fd(eventfd(0, EFD_CLOEXEC));
  if (!ended_) throw system_error(errno, "eventfd", "watching for signals");
  thread_ = start_thread("watching for signals", [this] { watch(); });
}

SignalWatch::~SignalWatch() {
  const std::uint64_t one = 1;
  static_cast<void>(!write(ended_.get(), &one, sizeof one));
  thread_.join();
}

void SignalWatch::watch() {
  for (;;) {
    pollfd fds[] = {{signals_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    signalfd_siginfo info{};
    if (read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    if (cancel_.requested()) _exit(130);
    say("lifeboat: stopping; a second signal ends it at once");
    cancel_.request();
  }
}

}  // namespace lifeboat::cli
