#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "postgres/connection.hpp"

namespace lifeboat::postgres {

struct WalProgress;

// Takes WAL. All calls come from the thread of run(). What a sink throws ends run() and comes out
// of it; only the server's failures are survived.
class WalSink {
 public:
  virtual ~WalSink() = default;
  // The durable end of that timeline in the vault; nullopt when it holds nothing of it. A gap that
  // was reported counts as held. Asked at each connection: another archiver may have gone on.
  virtual std::optional<Lsn> resume_at(std::uint64_t system_identifier, TimelineId timeline) = 0;
  // The WAL bytes [start, start + bytes.size()), at most a few 100 KiB. May block (longer than the
  // server's wal_sender_timeout costs a reconnect). Within one run() the calls for a timeline are
  // contiguous, over reconnects too, but for what on_gap() names and what resume_at() says that
  // another archiver brought; the first begins at resume_at().
  // A timeline that was not held yet begins at a segment's start: after a promotion its first
  // segment repeats the parent's bytes up to the switch point, as the server's own file does.
  virtual void on_wal(std::uint64_t system_identifier, TimelineId timeline, Lsn start,
                      std::string_view bytes) = 0;
  // The .history file of a timeline above 1; comes before the first on_wal() of that timeline, once
  // in a run(). Another file than the one that is held under that number means two branches with
  // one name (a split brain): the sink should throw Error(conflict).
  virtual void on_history(std::uint64_t system_identifier, TimelineId timeline,
                          std::string_view file_bytes) = 0;
  // [from, to) of the timeline cannot be had any more.
  virtual void on_gap(std::uint64_t system_identifier, TimelineId timeline, Lsn from, Lsn to,
                      std::string_view why) = 0;
};

// What the receiver is doing, for status pages and alarms.
struct WalReceiverStatus {
  bool streaming = false;
  std::uint64_t system_identifier = 0;
  TimelineId timeline;
  Lsn received;    // end of what on_wal() took
  Lsn flushed;     // what the server was told last
  Lsn server_end;  // the end of WAL, as the server said last
  std::uint64_t gaps = 0;
  std::string last_error;  // "" while all is well
};

struct WalReceiverOptions {
  Millis status_interval{5000};
  Millis first_backoff{100};
  Millis longest_backoff{5000};
  Millis silence_limit{
      60000};  // without a byte from the server: asks at half of it, then reconnects
};

// Streams WAL (START_REPLICATION, manual, chapter 55.4) from a physical slot of its own into a
// sink, following timelines. Exactly what durable() names is reported to the server as flushed: the
// slot keeps everything else.
class WalReceiver {
 public:
  WalReceiver(Config config, std::string slot, WalSink& sink, const Clock& clock,
              WalReceiverOptions options = {});

  // Until cancelled; then returns. Never starts from "now": from resume_at(), else from what the
  // slot keeps. Only one thread at a time.
  void run(const Cancel& cancel);

  // Any thread, in order: [.., end) of this timeline (and its history file, and all of its
  // ancestors that on_wal() gave) is durable in the vault. Reported within about 100 ms.
  void durable(std::uint64_t system_identifier, TimelineId timeline, Lsn end);

  WalReceiverStatus status() const;  // any thread

 private:
  friend class WalSession;
  std::string run_once(WalProgress& progress, const Cancel& cancel, Millis& backoff);
  void note(const std::string& problem);

  Config config_;
  std::string slot_;
  WalSink& sink_;
  const Clock& clock_;
  WalReceiverOptions options_;

  mutable std::mutex mutex_;  // guards what follows
  std::map<std::pair<std::uint64_t, TimelineId>, Lsn> durable_;
  WalReceiverStatus status_;
};

}  // namespace lifeboat::postgres
