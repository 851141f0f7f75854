#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "clickhouse/client.hpp"
#include "clickhouse/schema.hpp"
#include "clickhouse/snapshot.hpp"

namespace lifeboat::clickhouse {

struct TopicPartition {
  std::string topic;
  PartitionId partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};
// Per partition the next offset to consume: all below is in ClickHouse, nothing at or above. A
// partition of which nothing was consumed yet is absent.
using Cursors = std::map<TopicPartition, Offset>;

// How long consumption stood still, in seconds.
struct HeldTime {
  double still = 0;        // from the moment when it was seen idle until SYSTEM START returned
  double since_pause = 0;  // from the first SYSTEM PAUSE until SYSTEM START returned
};

// Consumption of Kafka tables stands still while this lives (SYSTEM PAUSE, 26.6+: it keeps the
// membership in the group). Every way out releases: release(), the destructor, an exception. One
// thread at a time.
class Hold {
 public:
  // Pauses all tables and returns when no consumer works any more. Error(timeout) when some did not
  // come to rest by `idle_by` (names the tables), Error(cancelled); all are started again then.
  Hold(Client& client, std::vector<TableRef> tables, const Deadline& idle_by, const Cancel& cancel,
       const Clock& clock = Clock::real());
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold();

  // Error(conflict) when a held table consumed since it was idle (somebody started it, or the
  // server was restarted): whatever was read under this hold is void.
  void check_still();
  // SYSTEM START for all tables; tries again for up to `within`. Error when a table may still be
  // held (names the command). The second call does nothing.
  HeldTime release(Millis within = Millis(30000));

 private:
  Client& client_;
  const Clock& clock_;
  std::vector<TableRef> tables_;
  std::chrono::steady_clock::time_point paused_at_, idle_at_;
  std::string state_when_idle_;
  bool held_ = false;
  HeldTime times_;
};

struct CutRequest {
  std::vector<TableRef> kafka_tables;
  std::vector<TableRef> distributed_tables;
  std::vector<TableRef> backup_tables;  // what the backup holds: data_tables(graph)
  std::vector<std::string> groups;
  std::function<Cursors(const std::string& group)> committed;  // asks the broker
  BackupPlace place;
  std::string name;           // fresh each try
  Millis idle_within{30000};  // for the block in flight; a slow view may need longer
  Millis pin_within{60000};
  // What runs run_watchdog(0), e.g. {"/proc/self/exe", "hold-watchdog"}; empty: no watchdog.
  std::vector<std::string> watchdog;
  const Fd* watchdog_keeps = nullptr;  // see HoldWatchdog
};

// What take_cut() leaves: a backup that runs under `backup_id`. The cut counts only once
// wait_finished() returned.
struct Cut {
  std::map<std::string, Cursors> cursors;  // per group
  std::string backup_id;
  HeldTime held;
};

// Hold, cut, pin, release: pause, wait for idle, flush Distributed queues, start the backup, read
// the committed offsets, wait until the backup is pinned, start. On any error everything is
// released and the backup that was begun is killed.
Cut take_cut(Client& client, const CutRequest& request, const Cancel& cancel,
             const Clock& clock = Clock::real());

// Flushes these tables' queues; Error(timeout) when they are not empty by the deadline.
void flush_distributed(Client& client, const std::vector<TableRef>& tables,
                       const Deadline& deadline, const Cancel& cancel);

// SYSTEM START for every table, whether held or not (harmless on one that runs). For the next start
// after a crash; the caller makes sure that no other Lifeboat holds them. Tables that no longer
// exist are passed over.
void repair(Client& client, const std::vector<TableRef>& tables);

// A process beside this one that starts the tables when this one dies in the middle of a hold.
// Arm it before the Hold, disarm after release(). Its own session: Ctrl-C does not reach it.
class HoldWatchdog {
 public:
  // Runs `argv` (e.g. {"/proc/self/exe", "hold-watchdog"}), which calls run_watchdog(0). What it
  // needs, the password too, goes through its stdin, never through argv or a file. `keeps`: a lock
  // that it inherits, so that it is not free before the watchdog has ended.
  HoldWatchdog(const std::vector<std::string>& argv, const Config& config,
               const std::vector<TableRef>& tables, const Fd* keeps = nullptr);
  HoldWatchdog(const HoldWatchdog&) = delete;
  HoldWatchdog& operator=(const HoldWatchdog&) = delete;
  // Without disarm() before, the tables are started.
  ~HoldWatchdog();
  void disarm();

 private:
  int fd_ = -1;
  int pid_ = -1;
};
// The watchdog's whole life; returns its exit status. Reads from `fd`.
int run_watchdog(int fd);

}  // namespace lifeboat::clickhouse
