#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/cluster.hpp"
#include "kafka/range_facts.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

// Whole record batches of one log, as the leader stores them (CRC-checked), in order.
// [base, next): `base` is where was asked, or the first batch's base offset when that lies before
// (an offset inside a batch gives the whole batch). Offsets that compaction took out are inside the
// range without a batch.
struct FetchedRange {
  LogId log;
  Offset base;
  Offset next;
  std::int32_t leader_epoch = -1;  // of the last batch
  Timestamp min_timestamp;         // smallest base timestamp of the batches
  Timestamp max_timestamp;         // largest max timestamp; -1: none
  std::string_view bytes;          // valid during the call, and as long as somebody holds…
  std::shared_ptr<const std::string> buffer;  // …what they lie in, max_answer at most. Null: only
                                              // during the call, as much else would be held
  std::uint32_t crc32c = 0;                   // of `bytes`
  RangeFacts facts;
  Offset high_watermark;  // when these bytes were sent
  Offset log_start;
};

// A log that was cut back and written anew: an unclean election, or a disk that was lost.
struct Divergence {
  Offset fetched;                    // the broker has other records, or none, before this one
  std::optional<Offset> same_below;  // what was fetched below it is proven to be still there
  Offset log_end;                    // of the log as it is now, as far as it was told
  LeaderEpoch epoch;                 // of its leader
  std::string why;
};

// Where fetched batches go. Called from several threads at once, two a broker; calls for one log
// never overlap. What it throws ends Fetcher::run(), which throws it on.
class FetchSink {
 public:
  virtual ~FetchSink() = default;

  // Where to go on with a log: the end of what was received for it, or `log_start`.
  virtual Offset resume_at(const LogId& log, Offset log_start) = 0;
  // Leader epoch of the last batch before resume_at(); -1: not known. Lets the broker tell that the
  // log was cut and written anew while nobody watched (KIP-595).
  virtual LeaderEpoch resume_epoch(const LogId&) { return LeaderEpoch(-1); }
  // May block: that broker is asked for nothing more meanwhile.
  virtual void on_batches(FetchedRange&& range) = 0;
  // [from, to) is gone: the log starts at `to`.
  virtual void on_gap(const LogId& log, Offset from, Offset to, std::string why) = 0;
  // After each answer, also an empty one: [.., fetched) was handed on, the log reaches to
  // high_watermark.
  virtual void on_state(const LogId& log, Offset fetched, Offset high_watermark) = 0;
  // The log is not the one any more that was fetched. True: it is followed as if it had never been,
  // beginning with resume_at(). False: it is not followed any more by this run().
  virtual bool on_diverged(const LogId&, const Divergence&) { return false; }
};

// Which partitions to follow beside the globs. What it says may change while it is asked.
class FetchShare {
 public:
  virtual ~FetchShare() = default;
  virtual bool has(const TopicPartition& tp) const = 0;
  virtual std::uint64_t version() const = 0;  // another one after each change
};

struct FetchOptions {
  std::vector<std::string> include{"*"};  // as is_chosen() takes them
  std::vector<std::string> exclude{};
  // Null: all of them. A partition that comes (back) into the share begins with resume_at(). It
  // must outlive the fetcher.
  const FetchShare* share = nullptr;
  // A single batch that is larger is still fetched whole, up to max_answer. A batch that is cut off
  // at a partition's limit comes again: it should be some batches long.
  ByteCount max_bytes_per_partition{4u << 20};
  ByteCount max_bytes_per_response{8u << 20};
  ByteCount max_answer{128u << 20};  // an answer that says it is longer is refused
  Millis max_wait{250};              // how long a broker may keep an empty answer back
  Millis metadata_refresh{2000};
};

// Follows all partitions of the chosen topics by raw Fetch (v13: asked by topic id), to the high
// watermark, control batches and aborted transactions included. Two threads and connections
// a broker. Survives brokers that go and come back, leaders that move, topics and partitions that
// appear or vanish; a topic or a whole cluster made anew is followed as new logs.
// Memory: per connection one answer, those that the sink holds, and up to six of
// max_bytes_per_response to be filled again.
class Fetcher {
 public:
  Fetcher(Config config, FetchOptions options, FetchSink& sink, Clock& clock);
  ~Fetcher();

  // Returns when cancelled (within a second, when the sink does not block). Throws what the sink
  // throws, and Error(unsupported) when brokers are too old or store batches of magic 0 or 1.
  void run(const Cancel& cancel);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "events*" and the like: * any run of characters, ? one.
bool glob_matches(const std::string& glob, const std::string& name);

// Some glob of `include` matches the topic's name and none of `exclude` does. Kafka's internal
// topics
// (__consumer_offsets, __transaction_state) only when `include` names them without a wildcard.
bool is_chosen(const TopicInfo& topic, const std::vector<std::string>& include,
               const std::vector<std::string>& exclude);

}  // namespace lifeboat::kafka
