#include "recovery/read_back.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {

namespace {

using kafka::BatchView;

// Batches of [from, until) in order, and which offsets of each are wanted: from the extent's range
// and behind those that came before. Two archivers' copies may be cut differently.
void for_each_batch(const vault::Logbook& logbook, const vault::LogName& name, ReadRange range,
                    const Cancel& cancel,
                    const std::function<void(const BatchView&, ReadRange)>& take) {
  logbook.read(
      name, Position(range.from.value), Position(range.until.value),
      [&](const vault::ExtentView& view) {
        cancel.check();
        const auto split = kafka::split_batches(view.bytes);
        if (split.whole != view.bytes.size()) {
          throw Error(Code::corrupt, name.value,
                      fmt::format("the extent at {} does not end with a whole batch", view.base),
                      "run lifeboat verify");
        }
        const Offset from(view.wanted_from.value), until(view.wanted_to.value);
        for (const auto& batch : split.batches) {
          if (batch.next_offset() <= from) continue;
          if (batch.base_offset() >= until) break;
          take(batch, {from, until});
        }
      },
      vault::Holes::skip);
}

// The offset of the first record in [range] whose time is `time` or later.
std::optional<Offset> first_since(const vault::Logbook& logbook, const vault::LogName& name,
                                  ReadRange range, const kafka::TopicPartition& tp,
                                  Timestamp time) {
  kafka::RecordReader reader;
  std::optional<Offset> found;
  for_each_batch(logbook, name, range, Cancel(), [&](const BatchView& batch, ReadRange wanted) {
    if (found || batch.max_timestamp() < time) return;
    reader.open(batch, tp);
    for (kafka::Record record; !found && reader.next(record);) {
      if (record.offset < wanted.from || record.offset >= wanted.until) continue;
      if (record.timestamp >= time) found = record.offset;
    }
  });
  return found;
}

Offset resolve_time(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                    Timestamp time) {
  const auto& summary = partition.summary;
  for (const auto& extent : logbook.extents(summary.log)) {  // max_time is exact, min_time is not
    if (extent.max_time < time) continue;
    const ReadRange range{Offset(extent.base.value), Offset(extent.next.value)};
    const auto found =
        first_since(logbook, summary.log, range, partition.log.topic_partition(), time);
    if (found) return *found;
  }
  return Offset(summary.next.value);
}

Offset resolve(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
               const Bound& bound) {
  if (const auto* offset = std::get_if<Offset>(&bound)) return *offset;
  return resolve_time(logbook, partition, std::get<Timestamp>(bound));
}

struct Fates {
  std::vector<kafka::AbortedTransaction> uncommitted;
  std::uint64_t open = 0;
};

Fates fates_of(const vault::Logbook& logbook, const vault::LogName& name, ReadRange range) {
  const auto sum =
      transactions_of(logbook, name, Position(range.from.value), Position(range.until.value));
  const auto open = sum.open();
  return {sum.never_committed(), static_cast<std::uint64_t>(std::count_if(
                                     open.begin(), open.end(), [&](const auto& transaction) {
                                       return transaction.first < range.until;
                                     }))};
}

}  // namespace

std::vector<ArchivedTopic> archived_topics(const vault::Logbook& logbook, std::string_view topic) {
  std::map<std::pair<std::string, std::string>, ArchivedTopic> found;
  for (const auto& summary : logbook.logs()) {
    const auto log = parse_kafka_log(summary.log);
    if (!log || log->topic != topic) continue;
    auto& one = found[{log->cluster_id, log->topic_id}];
    one.cluster_id = log->cluster_id;
    one.topic_id = log->topic_id;
    one.topic = log->topic;
    one.newest = std::max(one.newest, summary.max_time);
    one.partitions.push_back({*log, summary});
  }
  std::vector<ArchivedTopic> topics;
  for (auto& [ids, one] : found) {
    std::sort(one.partitions.begin(), one.partitions.end(),
              [](const auto& a, const auto& b) { return a.log.partition < b.log.partition; });
    topics.push_back(std::move(one));
  }
  std::stable_sort(topics.begin(), topics.end(),
                   [](const auto& a, const auto& b) { return a.newest < b.newest; });
  return topics;
}

ReadRange resolve_range(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                        std::optional<Bound> from, std::optional<Bound> until) {
  const auto& summary = partition.summary;
  ReadRange range{Offset(summary.first.value), Offset(summary.next.value)};
  if (from) range.from = resolve(logbook, partition, *from);
  if (until) range.until = resolve(logbook, partition, *until);
  range.until = std::max(range.from, range.until);
  return range;
}

std::vector<Missing> missing_of(const vault::Logbook& logbook,
                                const ArchivedTopic::Partition& partition, ReadRange range) {
  const auto& summary = partition.summary;
  std::vector<Missing> missing;
  const auto add = [&](Position from, Position to, const std::string& why) {
    const ReadRange part{std::max(range.from, Offset(from.value)),
                         std::min(range.until, Offset(to.value))};
    if (part.from < part.until) missing.push_back({part, why});
  };
  add(Position(0), summary.first,
      summary.pruned ? "lies before what is kept: it was pruned" : "lies before what is archived");
  for (const auto& hole : logbook.coverage(summary.log).holes) {
    add(hole.range.from, hole.range.to,
        hole.recorded || hole.pruned ? hole.why : "missing, and not recorded as lost");
  }
  add(summary.next, Position(INT64_MAX), "lies behind what is archived");
  return missing;
}

ReadResult read_records(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                        ReadRange range, Isolation isolation, const Cancel& cancel,
                        const TakeRecord& take) {
  const auto& name = partition.summary.log;
  const auto tp = partition.log.topic_partition();
  ReadResult result;
  Fates fates;
  if (isolation == Isolation::read_committed) fates = fates_of(logbook, name, range);
  result.open_transactions = fates.open;
  const kafka::ReplayFilter filter(std::move(fates.uncommitted));
  kafka::RecordReader reader;
  for_each_batch(logbook, name, range, cancel, [&](const BatchView& batch, ReadRange wanted) {
    if (filter.decide(batch) != kafka::Replay::keep) return;
    reader.open(batch, tp);
    for (kafka::Record record; reader.next(record);) {
      if (record.offset < wanted.from || record.offset >= wanted.until) continue;
      take(batch, record);
      ++result.taken;
    }
  });
  return result;
}

ReadResult read_batches(const vault::Logbook& logbook, const ArchivedTopic::Partition& partition,
                        ReadRange range, const Cancel& cancel, const TakeBatch& take) {
  ReadResult result;
  for_each_batch(logbook, partition.summary.log, range, cancel,
                 [&](const BatchView& batch, ReadRange) {
                   take(batch);
                   ++result.taken;
                 });
  return result;
}

}  // namespace lifeboat::recovery
