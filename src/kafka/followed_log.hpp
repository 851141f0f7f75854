#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "kafka/types.hpp"

namespace lifeboat::kafka {

// One of the connections to a broker.
struct Lane {
  BrokerId broker{-1};
  int number = 0;
  friend auto operator<=>(const Lane&, const Lane&) = default;
};

// How far one log was fetched. What stands before `asked_epoch` belongs to the fetcher's lock;
// the rest to the thread that has borrowed it (busy).
struct FollowedLog {
  explicit FollowedLog(LogId i) : id(std::move(i)) {}

  const LogId id;
  BrokerId leader{-1};
  LeaderEpoch leader_epoch{-1};
  Lane lane;  // on which it is asked for
  bool busy = false;
  bool ours = true;      // in FetchOptions::share
  bool restart = false;  // begins with resume_at() when it is borrowed next

  LeaderEpoch asked_epoch{-1};  // leader_epoch when it was borrowed
  bool started = false;         // `next` is known
  bool stopped = false;         // diverged: not followed any more
  Offset next;
  LeaderEpoch last_epoch{-1};  // of the last batch fetched
  struct BatchMark {
    Offset base;
    std::uint32_t crc;
  };
  std::optional<BatchMark> last_batch;
  bool proving = false;  // asks for last_batch again, to see whether the log is still the same
  std::chrono::steady_clock::time_point not_before{};
  std::string trouble;  // the last one told, so that it is told once

  // As if it had never been fetched.
  void forget() {
    started = stopped = proving = false;
    last_epoch = LeaderEpoch(-1);
    last_batch.reset();
    not_before = {};
  }
};

// What OFFSET_OUT_OF_RANGE at `next` means for a log that holds [log_start, log_end).
enum class OutOfRange { retention_passed, truncated, epoch_unknown };
constexpr OutOfRange judge_out_of_range(Offset next, Offset log_start, Offset log_end) {
  if (next < log_start) return OutOfRange::retention_passed;
  return next > log_end ? OutOfRange::truncated : OutOfRange::epoch_unknown;
}

}  // namespace lifeboat::kafka
