#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/cluster.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

struct ProduceOptions {
  ByteCount max_queued{32u << 20};  // produce() blocks above
  int lanes = 4;                    // threads, each with a connection to each leader it needs
  Millis give_up{120000};           // a batch not taken for so long is an error
  // Of an earlier run that was interrupted. Its batches that still are on their way are then told
  // apart from new ones: sequence numbers are counted from begin().
  std::optional<Cluster::ProducerIdentity> identity{};
};

// Writes stored batches again into partitions where nobody else writes. Each partition's batches
// land in the order given, each exactly once: they carry the sequence numbers of an idempotent
// producer (KIP-98), so that a batch whose fate is unknown after a lost connection is sent again
// and the broker tells whether it has it. Produce v8, acks=-1, one batch per partition per request.
class RawProducer {
 public:
  // [old_base, old_next) now lies at new_base. Called from the producer's threads, one call at a
  // time, in order within a partition.
  using Done = std::function<void(Offset old_base, Offset old_next, Offset new_base)>;

  RawProducer(Config config, Clock& clock, ProduceOptions options = {});
  ~RawProducer();  // gives up what is not flushed

  // Who it is to the brokers; asked of them at the first call when no identity was given.
  Cluster::ProducerIdentity identity();

  // The partition's next batch is to land at `at`, where its log ends (else the end is asked for).
  // The sequence number is that offset too: who knows where a batch must land knows its number, so
  // that one producer identity serves an interrupted run and the one that goes on with it.
  void begin(const TopicPartition& partition, Offset at);

  // `batch`: the original bytes of one batch that ReplayFilter keeps (else Error(unsupported), see
  // patch_for_produce). Blocks while the queue is full. Throws, as flush() does, the first error
  // that happened meanwhile: Error(refused) when somebody else writes into the partition, failed
  // when the broker does not take the batch, unavailable after ProduceOptions::give_up.
  void produce(const TopicPartition& partition, std::string batch, Done done);
  // The same without a copy: `batch` lies in `owner`, which is kept until it is acknowledged. After
  // begin() only.
  void produce(const TopicPartition& partition, std::shared_ptr<const std::string> owner,
               const BatchView& batch, Done done = {});
  void check() const;  // throws what produce() would

  // Returns when everything given is acknowledged and told to `done`.
  void flush(const Cancel& cancel);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
