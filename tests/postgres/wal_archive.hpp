#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "postgres/wal_receiver.hpp"

namespace lifeboat::postgres::test {

// A WalSink that keeps WAL as files that PostgreSQL's restore_command can copy, and checks what it
// is told. The check of contiguity is its own: it knows nothing of the receiver.
class WalArchive : public WalSink {
 public:
  explicit WalArchive(std::filesystem::path directory);

  std::optional<Lsn> resume_at(std::uint64_t system, TimelineId timeline) override;
  void on_wal(std::uint64_t system, TimelineId timeline, Lsn start,
              std::string_view bytes) override;
  void on_history(std::uint64_t system, TimelineId timeline, std::string_view bytes) override;
  void on_gap(std::uint64_t system, TimelineId timeline, Lsn from, Lsn to,
              std::string_view why) override;

  struct Gap {
    TimelineId timeline;
    Lsn from, to;
  };
  Lsn begin(TimelineId timeline) const;  // 0/0: nothing
  Lsn end(TimelineId timeline) const;
  std::vector<Gap> gaps() const;
  std::vector<std::string> mistakes() const;  // what broke the contract
  std::vector<std::string> events() const;    // "history 2", "wal 2", in order, no repeats
  std::string restore_command() const;
  const std::filesystem::path& directory() const { return directory_; }

  // All that came is at once called durable (set before run()).
  WalReceiver* durable_to = nullptr;
  // After so many bytes on_wal() throws.
  std::optional<std::uint64_t> fail_after;

 private:
  struct Log {
    Lsn begin, end;
  };
  void event(std::string what);

  std::filesystem::path directory_;
  mutable std::mutex mutex_;
  std::map<TimelineId, Log> logs_;
  std::vector<Gap> gaps_;
  std::vector<std::string> mistakes_, events_;
  std::uint64_t bytes_ = 0;
};

// A WalReceiver in a thread of its own, until the end of its life.
class RunningReceiver {
 public:
  RunningReceiver(const Config& config, WalArchive& archive, bool durable = true,
                  WalReceiverOptions options = {});
  ~RunningReceiver();
  WalReceiver& operator*() { return receiver_; }
  WalReceiver* operator->() { return &receiver_; }
  void stop();
  const std::string& thrown() const { return thrown_; }  // after stop()

 private:
  Cancel cancel_;
  WalReceiver receiver_;
  std::string thrown_;
  std::thread thread_;
};

}  // namespace lifeboat::postgres::test
