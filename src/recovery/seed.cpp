#include "recovery/seed.hpp"

#include <mutex>
#include <thread>

#include "base/thread.hpp"
#include "kafka/cluster.hpp"
#include "kafka/fetcher.hpp"

namespace lifeboat::recovery {
namespace {

constexpr Millis kStill(60000);  // without an answer for so long the brokers are given up

}  // namespace

SeedStream::Run SeedStream::next() {
  bytes_.clear();
  while (bytes_.empty() && !ended_) {
    const bool more = reader_.step([&](const auto&, const auto& batches) {
      for (const auto& batch : batches) add(batch);
    });
    if (more) continue;
    ended_ = true;
    add_aborts();
  }
  return {base_, next_, bytes_};
}

void SeedStream::add(const kafka::BatchView& batch) {
  if (batch.base_offset() < next_) {
    throw Error(Code::unsupported, kafka::to_string(log_.log),
                fmt::format("the batch at {} overlaps the one before it, which ends at {}: the "
                            "topic was compacted between two archivers",
                            batch.base_offset(), next_),
                "restore by --kafka produce");
  }
  if (bytes_.empty()) base_ = batch.base_offset();
  next_ = batch.next_offset();
  newest_ = std::max(newest_, batch.max_timestamp());
  const auto producer = batch.producer();
  highest_producer_ = std::max(highest_producer_, producer.id);
  if (batch.is_control()) {
    if (kafka::transaction_marker(batch)) open_.erase(producer.id);
  } else if (batch.is_transactional()) {
    open_[producer.id] = producer.epoch;
  }
  const auto at = bytes_.size();
  bytes_ += batch.bytes();
  kafka::set_leader_epoch(bytes_, at, kafka::LeaderEpoch(0));
}

void SeedStream::add_aborts() {
  next_ = std::max(next_, log_.next);
  base_ = next_;
  for (const auto& [id, epoch] : open_) {
    bytes_ += kafka::transaction_end(kafka::Marker::abort, next_, {id, epoch, -1}, newest_);
    next_ = next_ + 1;
    ++aborted_;
  }
}

SeedResult seed_log(const Context& c, const vault::Logbook& logbook, const SeededLog& log,
                    const std::vector<std::filesystem::path>& folders,
                    const std::function<void(std::uint64_t)>& progress) {
  std::vector<kafka::SegmentWriter> writers;
  for (const auto& folder : folders) writers.emplace_back(folder, log.first);
  SeedStream stream(logbook, log);
  SeedResult out;
  out.end = log.next;
  for (auto run = stream.next(); !run.bytes.empty(); run = stream.next()) {
    c.cancel.check();
    for (auto& writer : writers) writer.append(run.base, run.next, run.bytes);
    out.end = std::max(out.end, run.next);
    out.bytes = out.bytes + run.bytes.size();
    if (progress) progress(run.bytes.size());
  }
  for (auto& writer : writers) writer.finish();
  out.aborted = stream.aborted();
  out.highest_producer = stream.highest_producer();
  return out;
}

namespace {

// One log of the brokers beside the logbook's.
struct Compared {
  Compared(const vault::Logbook& logbook, const SeededLog& l) : log(l), stream(logbook, l) {}
  SeededLog log;
  SeedStream stream;
  SeedStream::Run run{};
  std::string_view left;  // of the run
  bool ended = false;     // the logbook has no more
  bool done = false;      // nor has the broker

  [[noreturn]] void differs(Offset at, const std::string& how) const {
    throw Error(Code::corrupt, kafka::to_string(log.log.topic_partition()),
                fmt::format("at offset {} {}", at, how),
                "wipe the brokers, and make a new plan; `lifeboat verify` looks at the vault");
  }

  void refill() {
    while (left.empty() && !ended) {
      run = stream.next();
      left = run.bytes;
      ended = left.empty();
    }
  }

  void take(const kafka::BatchView& batch) {
    refill();
    if (left.empty()) differs(batch.base_offset(), "the broker has more than the logbook");
    const auto expected = left.substr(0, std::min(left.size(), batch.bytes().size()));
    if (!kafka::equal_but_epoch(batch.bytes(), expected)) {
      differs(batch.base_offset(), "the broker has other bytes than the logbook");
    }
    left.remove_prefix(expected.size());
  }
};

class ComparingSink : public kafka::FetchSink {
 public:
  ComparingSink(const vault::Logbook& logbook, const std::vector<SeededLog>& logs,
                const std::function<void(std::uint64_t)>& progress)
      : progress_(progress) {
    for (const auto& log : logs) {
      logs_.try_emplace(log.log.topic_partition(), std::make_unique<Compared>(logbook, log));
    }
  }

  Offset resume_at(const kafka::LogId&, Offset log_start) override { return log_start; }
  void on_batches(kafka::FetchedRange&& range) override {
    const auto it = logs_.find(range.log.topic_partition());
    if (it == logs_.end()) return;
    for (const auto& batch : kafka::split_batches(range.bytes).batches) it->second->take(batch);
    std::lock_guard lock(mutex_);
    progressed_ = true;
    if (progress_) progress_(range.bytes.size());
  }
  void on_gap(const kafka::LogId& log, Offset from, Offset to, std::string why) override {
    throw Error(Code::corrupt, kafka::to_string(log),
                fmt::format("[{}, {}) went while it was read: {}", from, to, why));
  }
  void on_state(const kafka::LogId& log, Offset fetched, Offset high_watermark) override {
    const auto it = logs_.find(log.topic_partition());
    if (it == logs_.end() || fetched < high_watermark) return;
    auto& compared = *it->second;
    compared.refill();
    if (!compared.left.empty()) {
      // A high watermark still on its way up, after the brokers' start, is waited for.
      return;
    }
    std::lock_guard lock(mutex_);
    progressed_ = progressed_ || !compared.done;
    compared.done = true;
  }

  bool all_done() {
    std::lock_guard lock(mutex_);
    return std::all_of(logs_.begin(), logs_.end(), [](auto& one) { return one.second->done; });
  }
  bool progressed() {
    std::lock_guard lock(mutex_);
    return std::exchange(progressed_, false);
  }
  std::string missing() {
    std::lock_guard lock(mutex_);
    for (const auto& [tp, compared] : logs_) {
      if (!compared->done) return kafka::to_string(tp);
    }
    return {};
  }

 private:
  const std::function<void(std::uint64_t)>& progress_;
  std::map<kafka::TopicPartition, std::unique_ptr<Compared>> logs_;
  std::mutex mutex_;
  bool progressed_ = false;
};

void check_starts(const Context& c, const std::vector<SeededLog>& logs) {
  kafka::Cluster cluster(kafka_config(c.config), c.clock, &c.cancel);
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& log : logs) partitions.push_back(log.log.topic_partition());
  const auto offsets = cluster.offsets(partitions);
  for (const auto& log : logs) {
    const auto start = offsets.at(log.log.topic_partition()).log_start;
    if (start == log.first) continue;
    throw Error(Code::corrupt, kafka::to_string(log.log.topic_partition()),
                fmt::format("starts at offset {} instead of {}", start, log.first),
                "see the brokers' logs; wipe them, and make a new plan");
  }
}

}  // namespace

void compare_seeded(const Context& c, const vault::Logbook& logbook,
                    const std::vector<SeededLog>& logs,
                    const std::function<void(std::uint64_t)>& progress) {
  if (logs.empty()) return;
  check_starts(c, logs);
  kafka::FetchOptions options;
  options.include.clear();
  for (const auto& log : logs) options.include.push_back(log.log.topic);
  ComparingSink sink(logbook, logs, progress);
  kafka::Fetcher fetcher(kafka_config(c.config), options, sink, c.clock);
  Cancel stop;
  std::exception_ptr failure;
  std::atomic<bool> ended = false;
  std::thread thread = start_thread("comparing with the brokers", [&] {
    try {
      fetcher.run(stop);
    } catch (...) {
      failure = std::current_exception();
    }
    ended = true;
  });
  auto since = c.clock.steady();
  bool timeout = false;
  while (!ended && !sink.all_done() && !c.cancel.requested() && !timeout) {
    if (sink.progressed()) since = c.clock.steady();
    timeout = c.clock.steady() - since > kStill;
    c.cancel.sleep_for(Millis(20));
  }
  stop.request();
  thread.join();
  c.cancel.check();
  if (failure && !sink.all_done()) std::rethrow_exception(failure);
  if (timeout) {
    throw Error(Code::corrupt, sink.missing(), "the broker has less than the logbook",
                "see the brokers' logs; wipe them, and make a new plan");
  }
}

}  // namespace lifeboat::recovery
