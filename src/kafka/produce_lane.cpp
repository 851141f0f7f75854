#include "kafka/produce_lane.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/thread.hpp"
#include "kafka/stored_batches.hpp"

namespace lifeboat::kafka {

namespace {

constexpr std::size_t kMaxInFlight = 5;
constexpr std::size_t kMaxRequest = 4u << 20;  // a first batch that is larger goes alone
constexpr Millis kPause{100};
constexpr Millis kTick{50};

}  // namespace

ProduceLane::ProduceLane(ProduceShared& shared)
    : shared_(shared),
      last_progress_(shared.clock.steady()),
      thread_(start_thread("producing to Kafka", [this] { run(); })) {}

ProduceLane::~ProduceLane() {
  thread_.join();
}

PartitionQueue& ProduceLane::queue(const TopicPartition& partition) {
  return queues_.try_emplace(partition, partition).first->second;
}

bool ProduceLane::empty() const {
  return std::all_of(queues_.begin(), queues_.end(),
                     [](const auto& one) { return one.second.batches.empty(); });
}

void ProduceLane::run() {
  try {
    while (!shared_.stop.requested()) {
      const bool sent = send_some();
      const bool waiting = std::any_of(links_.begin(), links_.end(), [](const auto& link) {
        return !link.second.in_flight.empty();
      });
      if (waiting && !sent) receive_one();
      if (waiting || sent) continue;
      std::unique_lock lock(shared_.mutex);
      if (empty()) last_progress_ = shared_.clock.steady();
      shared_.changed.wait_for(lock, kTick);
    }
  } catch (...) {
    std::lock_guard lock(shared_.mutex);
    if (!shared_.failure && !shared_.stop.requested()) shared_.failure = std::current_exception();
    shared_.changed.notify_all();
  }
}

bool ProduceLane::Link::takes_more() const {
  if (in_flight.size() >= kMaxInFlight) return false;
  return in_flight.empty() || !connection || !connection->session_ends();
}

// Which partitions have a batch to send, and a leader to send it to.
std::map<BrokerId, ProduceLane::Waiting> ProduceLane::sendable() {
  std::lock_guard lock(shared_.mutex);
  std::map<BrokerId, Waiting> found;
  const auto now = shared_.clock.steady();
  for (auto& [tp, queue] : queues_) {
    if (queue.in_flight >= queue.batches.size() || queue.rewinding || queue.unsure ||
        queue.not_before > now) {
      continue;
    }
    const auto* partition = shared_.info.partition(tp);
    const auto leader = partition == nullptr ? BrokerId(-1) : partition->leader;
    if (shared_.info.broker(leader) == nullptr) {
      queue.not_before = now + kPause;
      shared_.info_from = {};
      continue;
    }
    // Batches that go two ways at once could overtake one another.
    if (queue.in_flight > 0 && queue.sent_to != leader) continue;
    if (links_[leader].takes_more()) found[leader].push_back(&queue);
  }
  return found;
}

bool ProduceLane::send_some() {
  refresh_leaders();
  look_what_is_there();
  const auto all = sendable();
  for (const auto& [leader, partitions] : all) {
    try {
      send_to(leader, partitions);
    } catch (Error& error) {
      if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
      drop(leader, error);
    }
  }
  return !all.empty();
}

void ProduceLane::send_to(BrokerId id, const Waiting& partitions) {
  auto& link = link_to(id);
  std::vector<ProducePartition> parts;
  Waiting sent;
  std::size_t size = 0;
  {
    std::lock_guard lock(shared_.mutex);
    for (auto* queue : partitions) {
      auto& batch = queue->batches[queue->in_flight];
      if (!parts.empty() && size + batch.bytes.size() > kMaxRequest) break;
      if (!batch.header) {
        const ProducerStamp stamp{shared_.identity.id, shared_.identity.epoch, batch.sequence};
        batch.header =
            header_for_produce(BatchView::parse(batch.bytes, false), queue->partition, stamp);
      }
      size += batch.bytes.size();
      parts.push_back({queue->partition,
                       {batch.header->data(), batch.header->size()},
                       batch.bytes.substr(kBatchHeader)});
      queue->sent_to = id;
      ++queue->in_flight;
      sent.push_back(queue);
    }
  }
  // From here on a failure finds them in flight. A deque keeps the bytes where they are while the
  // caller appends; only this thread takes batches out.
  link.in_flight.push_back(std::move(sent));
  link.connection->send(
      produce_request(shared_.config.client_id, shared_.config.request_timeout, parts));
}

ProduceLane::Link& ProduceLane::link_to(BrokerId id) {
  auto& link = links_[id];
  if (link.connection) return link;
  const auto broker = [&] {
    std::lock_guard lock(shared_.mutex);
    return *shared_.info.broker(id);
  }();
  link.connection =
      std::make_unique<Connection>(broker.host, broker.port, shared_.config, &shared_.stop);
  return link;
}

void ProduceLane::receive_one() {
  const auto busy = std::max_element(links_.begin(), links_.end(), [](auto& a, auto& b) {
    return a.second.in_flight.size() < b.second.in_flight.size();
  });
  auto& link = busy->second;
  std::string_view bytes;
  try {
    // The broker itself waits up to request_timeout for the replicas.
    bytes = link.connection->receive(buffer_, Deadline::after(shared_.config.request_timeout * 2));
  } catch (Error& error) {
    if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
    return drop(busy->first, error);
  }
  auto partitions = std::move(link.in_flight.front());
  link.in_flight.pop_front();
  const auto answers = parse_produce(bytes, link.connection->name());
  for (const auto& answer : answers) {
    const auto asked = std::find_if(partitions.begin(), partitions.end(), [&](const auto* queue) {
      return queue->partition == answer.partition;
    });
    if (asked == partitions.end()) {
      throw Error(Code::corrupt, link.connection->name(), "Produce answers what was not sent");
    }
    take_in(**asked, answer);
    partitions.erase(asked);
  }
  for (auto* queue : partitions) rewind(*queue);  // not answered at all
}

void ProduceLane::take_in(PartitionQueue& queue, const ProducedPartition& answer) {
  if (queue.rewinding) return answered(queue);
  if (answer.error == kNone) {
    {
      std::lock_guard lock(shared_.mutex);
      --queue.in_flight;
    }
    return acknowledged(queue, answer.base);
  }
  queue.unsure = answer.error == kOutOfOrderSequence;
  if (queue.unsure || is_retriable(answer.error)) {
    trouble_ = to_string(queue.partition) + ": " + protocol_error_name(answer.error);
    return rewind(queue);
  }
  std::lock_guard lock(shared_.mutex);
  const auto& batch = queue.batches.front();
  const auto why = answer.message.empty() ? "" : " (" + answer.message + ")";
  throw Error(Code::failed, to_string(queue.partition),
              fmt::format("the broker does not take the batch of old offsets [{}, {}): {}{}",
                          batch.old_base, batch.old_next, protocol_error_name(answer.error), why));
}

void ProduceLane::acknowledged(PartitionQueue& queue, Offset base) {
  QueuedBatch batch;
  {
    std::lock_guard lock(shared_.mutex);
    batch = std::move(queue.batches.front());
    queue.batches.pop_front();
  }
  if (base != batch.expected) {
    throw somebody_else_writes(
        queue.partition, fmt::format("a batch landed at {} instead of {}", base, batch.expected));
  }
  {
    std::lock_guard lock(shared_.telling);
    if (batch.done) batch.done(batch.old_base, batch.old_next, base);
  }
  last_progress_ = shared_.clock.steady();
  trouble_.clear();
  std::lock_guard lock(shared_.mutex);
  shared_.queued_bytes -= batch.bytes.size();
  shared_.changed.notify_all();
}

void ProduceLane::rewind(PartitionQueue& queue) {
  queue.rewinding = true;
  answered(queue);
}

// Counts an answer of a partition that is rewinding; after the last one it begins again.
void ProduceLane::answered(PartitionQueue& queue) {
  check_progress(trouble_);
  std::lock_guard lock(shared_.mutex);
  if (--queue.in_flight > 0) return;
  queue.rewinding = false;
  queue.not_before = shared_.clock.steady() + kPause;
  shared_.info_from = {};
}

// A broker that was killed remembers of a producer only the last batch that it had stored: the ones
// before it that were not answered are out of order to it when they come again. Its log tells.
void ProduceLane::look_what_is_there() {
  std::vector<PartitionQueue*> unsure;
  {
    std::lock_guard lock(shared_.mutex);
    const auto now = shared_.clock.steady();
    for (auto& [tp, queue] : queues_) {
      if (queue.unsure && queue.in_flight == 0 && queue.not_before <= now) unsure.push_back(&queue);
    }
  }
  for (auto* queue : unsure) {
    try {
      look_what_is_there(*queue);
    } catch (Error& error) {
      if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
      trouble_ = error.what();
      check_progress(trouble_);
      std::lock_guard lock(shared_.mutex);
      queue->not_before = shared_.clock.steady() + kPause;
      shared_.info_from = {};
    }
  }
}

void ProduceLane::look_what_is_there(PartitionQueue& queue) {
  std::vector<SentBatch> sent;
  ClusterInfo info;
  {
    std::lock_guard lock(shared_.mutex);
    for (const auto& batch : queue.batches) {
      if (!batch.header) break;
      sent.push_back(
          {batch.expected, {shared_.identity.id, shared_.identity.epoch, batch.sequence}});
    }
    info = shared_.info;
  }
  const auto there = count_stored(shared_.config, info, queue.partition, sent, shared_.stop);
  for (std::size_t i = 0; i < there; ++i) acknowledged(queue, sent[i].base);
  queue.unsure = false;
}

void ProduceLane::drop(BrokerId id, const Error& error) {
  if (trouble_ != error.what()) spdlog::warn("kafka: broker {}: {}", id, error.what());
  trouble_ = error.what();
  auto& link = links_[id];
  link.connection.reset();
  for (const auto& request : std::exchange(link.in_flight, {})) {
    for (auto* queue : request) rewind(*queue);
  }
  check_progress(trouble_);
  {
    std::lock_guard lock(shared_.mutex);
    shared_.info_from = {};
  }
  shared_.stop.sleep_for(kPause);
}

void ProduceLane::check_progress(const std::string& trouble) {
  if (shared_.clock.steady() - last_progress_ < shared_.options.give_up) return;
  throw Error(Code::unavailable, "kafka", "no batch could be written for too long: " + trouble);
}

void ProduceLane::refresh_leaders() {
  {
    std::lock_guard lock(shared_.mutex);
    if (shared_.info_from != std::chrono::steady_clock::time_point{} || empty()) return;
  }
  try {
    auto info = shared_.cluster.metadata();
    std::lock_guard lock(shared_.mutex);
    shared_.info = std::move(info);
    shared_.info_from = shared_.clock.steady();
  } catch (Error& error) {
    if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
    check_progress(error.what());
    shared_.stop.sleep_for(kPause);
  }
}

}  // namespace lifeboat::kafka
