#include "kafka/raw_producer.hpp"

#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "kafka/produce_lane.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kTick{50};

// Sequence numbers start again at 0 after 2^31 - 1.
std::int32_t sequence_after(std::int32_t sequence, std::int32_t count) {
  return static_cast<std::int32_t>((std::int64_t{sequence} + count) & INT32_MAX);
}

}  // namespace

struct RawProducer::State {
  State(Config c, Clock& k, ProduceOptions o) : shared(std::move(c), k, o) {
    if (o.identity) shared.identity = *o.identity;
    for (int i = 0; i < std::max(1, o.lanes); ++i) {
      lanes.push_back(std::make_unique<ProduceLane>(shared));
    }
  }
  ~State() { shared.stop.request(); }

  ProduceLane& lane(const TopicPartition& tp) {
    const auto hash =
        std::hash<std::string>{}(tp.topic) + static_cast<std::size_t>(tp.partition.value);
    return *lanes[hash % lanes.size()];
  }
  void check_failure() const {
    if (shared.failure) std::rethrow_exception(shared.failure);
  }

  ProduceShared shared;
  std::map<TopicPartition, PartitionQueue*> opened;  // for the caller's thread
  std::vector<std::unique_ptr<ProduceLane>> lanes;
};

RawProducer::RawProducer(Config config, Clock& clock, ProduceOptions options)
    : state_(std::make_unique<State>(std::move(config), clock, options)) {}
RawProducer::~RawProducer() = default;

Cluster::ProducerIdentity RawProducer::identity() {
  auto& shared = state_->shared;
  if (shared.identity.id < 0) shared.identity = shared.cluster.new_producer();
  return shared.identity;
}

void RawProducer::begin(const TopicPartition& partition, Offset at) {
  auto& s = *state_;
  std::lock_guard lock(s.shared.mutex);
  auto& queue = s.opened[partition];
  if (queue == nullptr) queue = &s.lane(partition).queue(partition);
  queue->next_expected = at;
  queue->next_sequence = static_cast<std::int32_t>(at.value & INT32_MAX);
  s.shared.info_from = {};
}

void RawProducer::produce(const TopicPartition& partition, std::string batch, Done done) {
  if (!state_->opened.contains(partition)) {
    begin(partition, state_->shared.cluster.offsets({partition}).at(partition).high_watermark);
  }
  const auto owner = std::make_shared<const std::string>(std::move(batch));
  produce(partition, owner, BatchView::parse(*owner), std::move(done));
}

void RawProducer::produce(const TopicPartition& partition, std::shared_ptr<const std::string> owner,
                          const BatchView& batch, Done done) {
  auto& s = *state_;
  auto& shared = s.shared;
  check_producible(batch, partition);
  identity();
  auto& queue = *s.opened.at(partition);

  std::unique_lock lock(shared.mutex);
  const auto size = batch.bytes().size();
  shared.changed.wait(lock, [&] {
    return shared.failure || shared.queued_bytes == 0 ||
           shared.queued_bytes + size <= shared.options.max_queued.value;
  });
  s.check_failure();
  const bool was_empty = queue.batches.size() == queue.in_flight;
  queue.batches.push_back({.owner = std::move(owner),
                           .bytes = batch.bytes(),
                           .header = {},
                           .sequence = queue.next_sequence,
                           .old_base = batch.base_offset(),
                           .old_next = batch.next_offset(),
                           .expected = queue.next_expected,
                           .done = std::move(done)});
  queue.next_sequence = sequence_after(queue.next_sequence, batch.record_count());
  queue.next_expected = queue.next_expected + batch.record_count();
  shared.queued_bytes += size;
  if (was_empty) shared.changed.notify_all();
}

void RawProducer::check() const {
  std::lock_guard lock(state_->shared.mutex);
  state_->check_failure();
}

void RawProducer::flush(const Cancel& cancel) {
  auto& s = *state_;
  std::unique_lock lock(s.shared.mutex);
  for (;;) {
    s.check_failure();
    if (s.shared.queued_bytes == 0) return;
    cancel.check();
    s.shared.changed.wait_for(lock, kTick);
  }
}

}  // namespace lifeboat::kafka
