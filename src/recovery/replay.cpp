#include "recovery/replay.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "kafka/record_batch.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

using kafka::BatchView;

// All batches of the log in order, each once, also where several archivers wrote the same range.
void for_each_batch(const vault::Logbook& logbook, const ReplayedLog& log,
                    const std::function<void(const BatchView&)>& take) {
  Offset next(log.summary.first.value);
  logbook.read(
      log_name(log.log), log.summary.first, log.summary.next,
      [&](const vault::ExtentView& view) {
        for (const auto& batch : kafka::split_batches(view.bytes).batches) {
          if (batch.next_offset() <= next) continue;  // given by another extent
          if (batch.base_offset().value >= view.wanted_to.value) continue;  // the next extent's
          take(batch);
          next = batch.next_offset();
        }
      },
      vault::Holes::skip);
}

}  // namespace

kafka::OffsetTranslation replay_log(const Context& c, const vault::Logbook& logbook,
                                    kafka::Cluster& cluster, kafka::RawProducer& producer,
                                    const ReplayedLog& log, ReplayProgress& progress) {
  auto tp = log.log.topic_partition();
  // Transactions without an end count as aborted: their producer is gone.
  kafka::ReplayFilter filter(
      transactions_of(logbook, log_name(log.log), log.summary.first, log.summary.next)
          .never_committed());
  Offset there = cluster.offsets({tp}).at(tp).high_watermark;
  kafka::OffsetTranslation translation(Offset(0));
  Offset expected(0);
  for_each_batch(logbook, log, [&](const BatchView& batch) {
    c.cancel.check();
    progress.add(batch.bytes().size());
    if (filter.decide(batch) != kafka::Replay::keep) return;
    Offset base = expected;
    expected = expected + (batch.next_offset() - batch.base_offset());
    translation.add(batch.base_offset(), batch.next_offset(), base);
    if (expected <= there) return;  // an interrupted run produced it
    producer.produce(tp, std::string(batch.bytes()), [base, tp](Offset, Offset, Offset landed) {
      if (landed == base) return;
      throw Error(Code::conflict, kafka::to_string(tp),
                  fmt::format("a batch landed at offset {} instead of {}: somebody else writes "
                              "into the partition",
                              landed, base),
                  "stop the producers, empty Kafka, and make a new plan");
    });
  });
  producer.flush(c.cancel);
  Offset end = cluster.offsets({tp}).at(tp).high_watermark;
  if (end != expected) {
    throw Error(Code::conflict, kafka::to_string(tp),
                fmt::format("ends at offset {}, but the logbook's batches end at {}: somebody else "
                            "wrote into it",
                            end, expected),
                "stop the producers, empty Kafka, and make a new plan");
  }
  return translation;
}

}  // namespace lifeboat::recovery
