#include "postgres/wal_receiver.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "postgres/wal_session.hpp"

namespace lifeboat::postgres {

WalReceiver::WalReceiver(Config config, std::string slot, WalSink& sink, const Clock& clock,
                         WalReceiverOptions options)
    : config_(std::move(config)),
      slot_(std::move(slot)),
      sink_(sink),
      clock_(clock),
      options_(options) {
  check_slot_name(slot_);
}

void WalReceiver::run(const Cancel& cancel) {
  WalProgress progress;
  auto backoff = options_.first_backoff;
  while (!cancel.requested()) {
    const auto problem = run_once(progress, cancel, backoff);
    if (cancel.requested()) break;
    note(problem);
    if (!cancel.sleep_for(backoff)) break;
    backoff = std::min(backoff * 2, options_.longest_backoff);
  }
  const std::lock_guard lock(mutex_);
  status_.streaming = false;
}

// One connection, until it ends. Returns why it did.
std::string WalReceiver::run_once(WalProgress& progress, const Cancel& cancel, Millis& backoff) {
  std::optional<WalSession> session;
  std::string problem = "the server ended the stream";
  try {
    session.emplace(*this, progress, cancel);
    session->stream();
  } catch (const SinkStopped& stopped) {
    note("the sink stopped");
    std::rethrow_exception(stopped.cause);
  } catch (const Error& error) {
    problem = error.what();
  }
  if (session && session->received_anything()) backoff = options_.first_backoff;
  return problem;
}

void WalReceiver::note(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (status_.last_error != problem) spdlog::warn("WAL stream: {}; trying again", problem);
  status_.streaming = false;
  status_.last_error = problem;
}

void WalReceiver::durable(std::uint64_t system_identifier, TimelineId timeline, Lsn end) {
  const std::lock_guard lock(mutex_);
  auto& known = durable_[{system_identifier, timeline}];
  known = std::max(known, end);
}

WalReceiverStatus WalReceiver::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace lifeboat::postgres
