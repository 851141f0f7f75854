#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/fetcher.hpp"
#include "kafka/types.hpp"
#include "support/stack_fixture.hpp"

// What the tests on a real broker need beside the room itself: other clients (librdkafka, kcat),
// the broker's own files, and a sink that remembers.
namespace lifeboat::kafka::test {

Config config_of(const lifeboat::test::StackProcess& stack);
std::string fresh_name(const std::string& prefix);  // of a topic or group, new in this program

// Polls; false after a time that only a broken program needs.
bool wait_until(const std::function<bool()>& condition, Millis most = Millis(180000));

struct ProducePlan {
  int records = 100;
  int per_batch = 10;
  std::string codec = "none";
  std::string text = "value";
};
// Writes with librdkafka, key "k<i>", a header, value "<text>-<i>-…"; returns when acknowledged.
void produce(const Config& config, const TopicPartition& tp, const ProducePlan& plan);
enum class Ending { commit, abort };
// Writes transactions, one after the other.
class TransactionWriter {
 public:
  explicit TransactionWriter(const Config& config);
  ~TransactionWriter();
  void write(const TopicPartition& tp, int records, Ending ending);

 private:
  struct State;
  std::unique_ptr<State> state_;
};
void delete_records(const Config& config, const TopicPartition& tp, Offset before);
void add_partitions(const Config& config, const std::string& topic, int total);

// kcat's standard output; throws when it fails. `arguments` go to a shell.
std::string kcat(const Config& config, const std::string& arguments);
// All records of a partition that a read-committed consumer sees: one line "offset⇥rest" each.
std::vector<std::pair<Offset, std::string>> consume(const Config& config, const TopicPartition& tp);

// All bytes of a partition's segment files, as they lie on the broker's disk.
std::string segment_bytes(const std::filesystem::path& data, const TopicPartition& tp);

// kcat as a member of a group; killed at the end of its life.
class GroupConsumer {
 public:
  GroupConsumer(const Config& config, const std::string& group, const std::string& topic,
                const std::string& strategy);
  ~GroupConsumer();
  std::string output() const;  // what it said so far
  void kill();                 // SIGKILL: it does not leave the group

 private:
  std::filesystem::path file_;
  pid_t pid_ = -1;
};

// A member of a group that never gives up, as ClickHouse does; librdkafka with range assignment. It
// commits nothing.
class StubbornConsumer {
 public:
  StubbornConsumer(const Config& config, const std::string& group, const std::string& topic);
  ~StubbornConsumer();
  int refusals() const { return refusals_; }  // INCONSISTENT_GROUP_PROTOCOL
  std::map<TopicPartition, std::vector<Offset>> seen() const;

 private:
  struct Member;
  std::unique_ptr<Member> member_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> refusals_ = 0;
  mutable std::mutex mutex_;
  std::map<TopicPartition, std::vector<Offset>> seen_;
  std::thread thread_;
};

// Remembers what it is told; thread-safe.
class RememberingSink : public FetchSink {
 public:
  struct Log {
    Offset base{-1};
    Offset next{-1};
    Offset high_watermark{-1};
    std::string bytes;
    std::vector<std::pair<Offset, Offset>> gaps;
    bool diverged = false;
    std::optional<Divergence> divergence{};
  };
  std::function<Offset(const LogId&, Offset)> resume;  // may be empty
  std::function<void(const FetchedRange&)> on_range;   // may be empty
  LeaderEpoch epoch{-1};                               // of what lies before `resume`
  // Where a log that diverged goes on, as if nothing of it were known; empty: it does not.
  std::function<Offset(const Divergence&)> after_divergence;

  Offset resume_at(const LogId& log, Offset log_start) override;
  LeaderEpoch resume_epoch(const LogId&) override { return std::exchange(epoch, LeaderEpoch(-1)); }
  void on_batches(FetchedRange&& range) override;
  void on_gap(const LogId& log, Offset from, Offset to, std::string why) override;
  void on_state(const LogId& log, Offset fetched, Offset high_watermark) override;
  bool on_diverged(const LogId& log, const Divergence& divergence) override;

  std::map<LogId, Log> logs() const;
  // The log of a partition; when its topic was made more than once, the one that was seen last.
  std::optional<Log> log(const TopicPartition& tp) const;
  bool reached(const TopicPartition& tp, Offset end) const;

 private:
  mutable std::mutex mutex_;
  std::map<LogId, Log> logs_;
  std::map<TopicPartition, LogId> latest_;
};

// A Fetcher that runs in a thread of its own for as long as this object lives.
class RunningFetcher {
 public:
  RunningFetcher(const Config& config, const std::string& topics, FetchSink& sink);
  RunningFetcher(const Config& config, FetchOptions options, FetchSink& sink);
  ~RunningFetcher() { stop(); }
  void stop();
  std::exception_ptr failure();

 private:
  Fetcher fetcher_;
  Cancel cancel_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace lifeboat::kafka::test
