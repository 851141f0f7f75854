#pragma once

#include <exception>
#include <map>
#include <set>
#include <utility>

#include "postgres/server.hpp"
#include "postgres/timeline_plan.hpp"
#include "postgres/wal_receiver.hpp"

namespace lifeboat::postgres {

// What one run() has done so far, over all of its connections.
struct WalProgress {
  using Timeline = std::pair<std::uint64_t, TimelineId>;  // of a system
  std::map<Timeline, Lsn> received;                       // the next byte wanted
  // A timeline that was followed from its parent: durable only once the parent is, up to there.
  std::map<Timeline, WalPosition> parents;
  std::set<Timeline> histories;  // given to the sink
};

// The sink threw: its exception, on the way through code that survives the server's errors.
struct SinkStopped {
  std::exception_ptr cause;
};

// One connection of a WalReceiver: from IDENTIFY_SYSTEM to the end of the stream.
class WalSession {
 public:
  WalSession(WalReceiver& receiver, WalProgress& progress, const Cancel& cancel);
  // Returns when the server ended the stream orderly (it shuts down, or it has no more of the WAL
  // and the gap was reported): connect again. Else throws.
  void stream();
  bool received_anything() const { return received_anything_; }

 private:
  enum class End { server_stopped, next_timeline };

  WalProgress::Timeline key(TimelineId timeline) const;
  std::optional<Lsn> held(TimelineId timeline);
  void read_history_of_server();
  void check_not_ahead(WalPosition start) const;
  void give_history(TimelineId timeline);
  std::string fetch_history(TimelineId timeline);
  std::optional<WalPosition> stream_timeline(WalPosition at);
  End copy(WalPosition& at);
  void handle(std::string_view message, WalPosition& at);
  void handle_wal(std::string_view message, WalPosition& at);
  std::optional<WalPosition> read_next_timeline(WalPosition at);
  std::optional<WalPosition> follow(WalPosition at, TimelineId next, Lsn end);
  void report_gap(WalPosition from, const std::string& why);
  std::vector<std::string> list_pg_wal();
  void keep_in_touch(WalPosition at);
  Lsn flushed(WalPosition at);
  void send_status(WalPosition at, Lsn flush, bool ask);
  void publish(WalPosition at);
  template <typename F>
  auto call_sink(F&& call);

  WalReceiver& receiver_;
  WalProgress& progress_;
  const Cancel& cancel_;
  Connection server_;
  SystemInfo info_;
  Lsn slot_lsn_;
  std::string history_;  // of the server's timeline; "" on timeline 1
  std::vector<TimelineSwitch> ancestors_;
  bool received_anything_ = false;
  bool asked_ = false;  // for a sign of life
  bool reply_now_ = false;
  Lsn told_;  // the highest flush position that this server was told
  std::chrono::steady_clock::time_point last_heard_;
  std::chrono::steady_clock::time_point last_status_;
};

}  // namespace lifeboat::postgres
