#include "recovery/replay.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/reencode.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

using kafka::BatchView;

// All batches of the log in order, and which offsets of each are wanted, each once, also where
// several archivers wrote the same range.
void for_each_batch(const vault::Logbook& logbook, const ReplayedLog& log,
                    const std::function<void(const BatchView&, Offset, Offset)>& take) {
  logbook.read(
      log_name(log.log), log.summary.first, log.summary.next,
      [&](const vault::ExtentView& view) {
        const Offset from(view.wanted_from.value), until(view.wanted_to.value);
        for (const auto& batch : kafka::split_batches(view.bytes).batches) {
          if (batch.next_offset() > from && batch.base_offset() < until) take(batch, from, until);
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
  kafka::Reencoder reencoder;
  for_each_batch(logbook, log, [&](const BatchView& batch, Offset from, Offset until) {
    c.cancel.check();
    progress.add(batch.bytes().size());
    if (filter.decide(batch) != kafka::Replay::keep) return;
    auto made = kafka::make_producible(reencoder, batch, tp, from, until, expected, translation);
    if (!made) return;
    Offset base = expected;
    expected = expected + made->records;
    if (expected <= there) return;  // an interrupted run produced it
    auto bytes = std::move(made->rewritten).value_or(std::string(batch.bytes()));
    producer.produce(tp, std::move(bytes), [base, tp](Offset, Offset, Offset landed) {
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
