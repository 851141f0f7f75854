#include "recovery/replay.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "base/error.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/reencode.hpp"
#include "recovery/batch_reader.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

using kafka::BatchView;

constexpr Millis kTick{50};

// The memory of extents that are read and not yet let go. The holders may outlive the budget's
// user, so that they share its state.
class MemoryBudget {
 public:
  explicit MemoryBudget(ByteCount most) : state_(std::make_shared<State>()), most_(most.value) {}

  // Until less than the limit is held.
  template <typename Check>
  void wait(Check&& check) const {
    std::unique_lock lock(state_->mutex);
    while (state_->held >= most_) {
      state_->freed.wait_for(lock, kTick);
      lock.unlock();
      check();
      lock.lock();
    }
  }

  std::shared_ptr<const std::string> hold(std::shared_ptr<const std::string> bytes) const {
    {
      std::lock_guard lock(state_->mutex);
      state_->held += bytes->size();
    }
    const auto* raw = bytes.get();
    return {raw, [bytes = std::move(bytes), state = state_](const std::string*) mutable {
              const auto size = bytes->size();
              bytes.reset();
              std::lock_guard lock(state->mutex);
              state->held -= size;
              state->freed.notify_all();
            }};
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable freed;
    std::uint64_t held = 0;
  };
  std::shared_ptr<State> state_;
  std::uint64_t most_;
};

// One log on its way.
struct Cursor {
  // Transactions without an end count as aborted: their producer is gone.
  Cursor(const vault::Logbook& logbook, const ReplayedLog& l)
      : log(l),
        reader(logbook, l.log, l.from, l.until),
        filter(transactions_of(logbook, log_name(l.log), Position(l.from.value),
                               Position(l.until.value))
                   .never_committed()) {}

  ReplayedLog log;
  BatchReader reader;
  kafka::ReplayFilter filter;
  kafka::Reencoder reencoder;
  Offset there;  // where an interrupted run has left the partition
  Offset expected{0};
  bool begun = false;
  kafka::OffsetTranslation translation{Offset(0)};
};

void begin(kafka::RawProducer& producer, Cursor& cursor, Offset base) {
  if (cursor.begun) return;
  if (base != cursor.there) {
    throw Error(
        Code::conflict, kafka::to_string(cursor.log.into),
        fmt::format("ends at offset {}, within a batch: somebody else wrote into it", cursor.there),
        "stop the producers, empty Kafka, and make a new plan");
  }
  producer.begin(cursor.log.into, base);
  cursor.begun = true;
}

// What of a batch is wanted of its extent: as it is where a broker takes it so.
void produce_batch(kafka::RawProducer& producer, Cursor& cursor, const BatchView& batch,
                   const vault::OwnedExtent& extent,
                   const std::shared_ptr<const std::string>& owner) {
  if (cursor.filter.decide(batch) != kafka::Replay::keep) return;
  const Offset base = cursor.expected;
  auto made = kafka::make_producible(cursor.reencoder, batch, cursor.log.log.topic_partition(),
                                     Offset(extent.wanted_from.value),
                                     Offset(extent.wanted_to.value), base, cursor.translation);
  if (!made) return;
  cursor.expected = base + made->records;
  if (cursor.expected <= cursor.there) return;  // an interrupted run produced it
  begin(producer, cursor, base);
  if (!made->rewritten) return producer.produce(cursor.log.into, owner, batch);
  auto rewritten = std::make_shared<const std::string>(std::move(*made->rewritten));
  producer.produce(cursor.log.into, rewritten, BatchView::parse(*rewritten));
}

// Extent by extent, the logs in turn, so that all partitions have something on its way.
void feed(const Context& c, std::vector<Cursor>& cursors, kafka::RawProducer& producer,
          const ReplayOptions& options) {
  MemoryBudget budget(options.memory);
  for (bool any = true; any;) {
    any = false;
    for (auto& cursor : cursors) {
      budget.wait([&] {
        c.cancel.check();
        producer.check();
      });
      any |= cursor.reader.step([&](const vault::OwnedExtent& extent, const auto& batches) {
        c.cancel.check();
        const auto owner = budget.hold(extent.bytes);
        for (const auto& batch : batches) produce_batch(producer, cursor, batch, extent, owner);
        if (options.progress) options.progress(extent.bytes->size());
      });
    }
  }
  producer.flush(c.cancel);
}

void check_ends(kafka::Cluster& cluster, const std::vector<Cursor>& cursors) {
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& cursor : cursors) partitions.push_back(cursor.log.into);
  const auto ends = cluster.offsets(partitions);
  for (const auto& cursor : cursors) {
    const Offset end = ends.at(cursor.log.into).high_watermark;
    if (end == cursor.expected) continue;
    throw Error(Code::conflict, kafka::to_string(cursor.log.into),
                fmt::format("ends at offset {}, but the logbook's batches end at {}: somebody else "
                            "wrote into it",
                            end, cursor.expected),
                "stop the producers, empty Kafka, and make a new plan");
  }
}

}  // namespace

Translations replay(const Context& c, const vault::Logbook& logbook,
                    const std::vector<ReplayedLog>& logs, const ReplayOptions& options) {
  if (logs.empty()) return {};
  const auto config = kafka_config(c.config);
  kafka::Cluster cluster(config, c.clock, &c.cancel);
  kafka::RawProducer producer(config, c.clock,
                              {.max_queued = options.memory, .identity = options.identity});
  if (options.keep_identity) options.keep_identity(producer.identity());
  std::vector<Cursor> cursors;
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& log : logs) {
    cursors.emplace_back(logbook, log);
    partitions.push_back(log.into);
  }
  const auto there = cluster.offsets(partitions);
  for (auto& cursor : cursors) cursor.there = there.at(cursor.log.into).high_watermark;
  feed(c, cursors, producer, options);
  check_ends(cluster, cursors);
  Translations out;
  for (auto& cursor : cursors) out[cursor.log.into] = std::move(cursor.translation);
  return out;
}

}  // namespace lifeboat::recovery
