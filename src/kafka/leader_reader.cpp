#include "kafka/leader_reader.hpp"

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "base/log.hpp"
#include "kafka/record_batch.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kSoon{100};
constexpr Millis kLater{1000};
constexpr std::size_t kSmallPart = 4;  // of a buffer: less is better copied

std::int32_t as_int32(ByteCount n) {
  return static_cast<std::int32_t>(std::min<std::uint64_t>(n.value, INT32_MAX));
}

// The batches that end after `next`, and their bytes.
struct NewBatches {
  std::vector<BatchView> batches;
  std::string_view bytes;
};
NewBatches batches_after(std::string_view records, Offset next, const ChecksumTrail& trail) {
  auto split = split_batches(records, &trail);
  const auto first = std::find_if(split.batches.begin(), split.batches.end(),
                                  [&](const auto& b) { return b.next_offset() > next; });
  split.batches.erase(split.batches.begin(), first);
  if (split.batches.empty()) return {};
  const char* begin = split.batches.front().bytes().data();
  const char* end = records.data() + split.whole;
  return {std::move(split.batches), {begin, static_cast<std::size_t>(end - begin)}};
}

}  // namespace

LeaderReader::LeaderReader(const Config& config, const FetchOptions& options, FetchSink& sink,
                           Clock& clock, BufferPool& buffers, const Cancel& stop)
    : config_(config),
      options_(options),
      sink_(sink),
      clock_(clock),
      stop_(stop),
      buffers_(buffers) {}

bool LeaderReader::read(const BrokerInfo& broker, const std::vector<FollowedLog*>& logs) {
  try {
    if (!connection_ || broker != broker_) {
      connection_.reset();
      connection_.emplace(broker.host, broker.port, config_, &stop_);
      broker_ = broker;
    }
    start_new_ones(logs);
    std::vector<FollowedLog*> ready;
    std::copy_if(logs.begin(), logs.end(), std::back_inserter(ready),
                 [](const auto* log) { return log->started && !log->stopped; });
    return ready.empty() || fetch(std::move(ready));
  } catch (...) {
    connection_.reset();
    throw;
  }
}

std::vector<std::optional<LeaderReader::Bounds>> LeaderReader::bounds(
    const std::vector<FollowedLog*>& logs) {
  std::vector<TopicPartition> partitions;
  for (const auto* log : logs) partitions.push_back(log->id.topic_partition());
  std::map<TopicPartition, Bounds> listed;
  std::map<TopicPartition, int> answers;
  for (const auto which : {Which::earliest, Which::latest}) {
    const auto request = list_offsets_request(config_.client_id, which, partitions);
    const auto bytes = connection_->call(request);
    for (const auto& one : parse_list_offsets(bytes, connection_->name())) {
      if (one.error != kNone) continue;
      auto& of = listed[one.partition];
      (which == Which::earliest ? of.log_start : of.log_end) = one.offset;
      ++answers[one.partition];
    }
  }
  // ListOffsets asks by name: make sure that it spoke of this topic and not of its successor.
  const auto bytes = connection_->call(metadata_request(config_.client_id));
  const auto info = parse_metadata(bytes, connection_->name());
  std::vector<std::optional<Bounds>> found;
  for (const auto* log : logs) {
    const auto tp = log->id.topic_partition();
    const auto* topic = info.topic(tp.topic);
    const bool same = topic != nullptr && topic->topic_id == log->id.topic_id &&
                      info.cluster_id == log->id.cluster_id;
    found.push_back(same && answers[tp] == 2 ? std::optional(listed[tp]) : std::nullopt);
  }
  return found;
}

void LeaderReader::start_new_ones(const std::vector<FollowedLog*>& logs) {
  std::vector<FollowedLog*> fresh;
  std::copy_if(logs.begin(), logs.end(), std::back_inserter(fresh),
               [](const auto* log) { return !log->started; });
  if (fresh.empty()) return;
  const auto limits = bounds(fresh);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    auto& log = *fresh[i];
    if (!limits[i]) {
      pause(log, kSoon, "the broker does not lead it yet");
      continue;
    }
    const auto log_start = limits[i]->log_start;
    log.next = tell([&] { return sink_.resume_at(log.id, log_start); });
    log.last_epoch = tell([&] { return sink_.resume_epoch(log.id); });
    if (log.next < log_start) skip_to(log, log_start);
    log.started = true;
  }
}

bool LeaderReader::fetch(std::vector<FollowedLog*> logs) {
  // The broker fills its answer in the order of the request: each time another log comes first.
  std::rotate(logs.begin(), logs.begin() + static_cast<std::ptrdiff_t>(turn_++ % logs.size()),
              logs.end());
  std::vector<FetchPartition> wanted;
  std::map<std::pair<std::string, PartitionId>, FollowedLog*> asked;
  for (auto* log : logs) {
    const bool proving = log->proving;
    wanted.push_back({log->id.topic_id, log->id.partition, log->asked_epoch,
                      proving ? LeaderEpoch(-1) : log->last_epoch,
                      proving ? log->last_batch->base : log->next,
                      as_int32(options_.max_bytes_per_partition)});
    asked[{log->id.topic_id, log->id.partition}] = log;
  }
  const FetchLimits limits{static_cast<std::int32_t>(options_.max_wait.count()),
                           as_int32(options_.max_bytes_per_response)};
  connection_->send(fetch_request(config_.client_id, limits, wanted));
  buffer_.reset();  // the sink may have given it back
  buffer_ = buffers_.take();
  const auto bytes =
      connection_->receive(*buffer_, Deadline::after(config_.request_timeout + options_.max_wait),
                           options_.max_answer.value, &trail_);
  worth_holding_ = bytes.size() >= buffer_->capacity() / kSmallPart;
  const auto fetched = parse_fetch(bytes, connection_->name());
  if (fetched.error != kNone) {
    throw Error(Code::unavailable, connection_->name(),
                "Fetch: " + protocol_error_name(fetched.error));
  }
  bool stale = false;
  for (const auto& answer : fetched.partitions) {
    const auto log = asked.find({answer.topic_id, answer.partition});
    if (log == asked.end()) {
      throw Error(Code::corrupt, connection_->name(), "Fetch answers what was not asked");
    }
    if (take_in(*log->second, answer)) stale = true;
    asked.erase(log);
  }
  return stale;
}

// True: the metadata is out of date.
bool LeaderReader::take_in(FollowedLog& log, const FetchedPartition& answer) {
  if (answer.error == kOffsetOutOfRange) {
    resolve_out_of_range(log);
    return true;
  }
  if (answer.error != kNone) {
    pause(log, is_retriable(answer.error) ? kSoon : kLater, protocol_error_name(answer.error));
    return true;
  }
  if (answer.diverged_at) {
    // Where the epoch fetched last ends there and here, the logs are the same up to the first end.
    const auto end = *answer.diverged_at;
    const bool same_epoch = answer.diverged_epoch == log.last_epoch;
    diverged(log, same_epoch ? std::optional(std::min(end, log.next)) : std::nullopt, end,
             "its leader epochs were cut back");
    return false;
  }
  try {
    if (log.proving) {
      prove(log, answer);
    } else {
      take_records(log, answer);
    }
    if (!log.stopped) log.trouble.clear();
  } catch (Error& error) {
    // Damage may have happened on the way: ask again, and say so. Nothing is skipped.
    if (error.code() != Code::corrupt)
      throw std::move(error.during("reading " + to_string(log.id)));
    pause(log, kLater, error.what());
  }
  return false;
}

void LeaderReader::take_records(FollowedLog& log, const FetchedPartition& answer) {
  const auto fresh = batches_after(answer.records, log.next, trail_);
  if (!fresh.batches.empty()) {
    const auto& first = fresh.batches.front();
    const auto& last = fresh.batches.back();
    FetchedRange range{.log = log.id,
                       .base = std::min(log.next, first.base_offset()),
                       .next = last.next_offset(),
                       .leader_epoch = last.leader_epoch().value,
                       .min_timestamp = first.base_timestamp(),
                       .max_timestamp = first.max_timestamp(),
                       .bytes = fresh.bytes,
                       .buffer = worth_holding_ ? buffer_ : nullptr,
                       .crc32c = crc32c_of(fresh.batches),
                       .facts = facts_of(fresh.batches),
                       .high_watermark = answer.high_watermark,
                       .log_start = answer.log_start};
    for (const auto& batch : fresh.batches) {
      range.min_timestamp = std::min(range.min_timestamp, batch.base_timestamp());
      range.max_timestamp = std::max(range.max_timestamp, batch.max_timestamp());
    }
    log.next = range.next;
    log.last_epoch = last.leader_epoch();
    log.last_batch = {last.base_offset(), last.crc()};
    tell([&] { sink_.on_batches(std::move(range)); });
  }
  tell([&] { sink_.on_state(log.id, log.next, answer.high_watermark); });
}

void LeaderReader::resolve_out_of_range(FollowedLog& log) {
  const auto limits = bounds({&log}).front();
  if (!limits) return pause(log, kSoon, "OFFSET_OUT_OF_RANGE from a broker that leads it no more");
  switch (judge_out_of_range(log.next, limits->log_start, limits->log_end)) {
    case OutOfRange::retention_passed:
      return skip_to(log, limits->log_start);
    case OutOfRange::truncated:
      return diverged(log, {}, limits->log_end, "the log ends before what was fetched");
    case OutOfRange::epoch_unknown:
      break;
  }
  // The broker knows no such leader epoch, or the log moved between the two questions.
  if (log.last_epoch < LeaderEpoch(0))
    return pause(log, kSoon, "OFFSET_OUT_OF_RANGE within the log");
  if (log.proving || !log.last_batch) {
    return diverged(log, {}, limits->log_end, "the broker does not know the leader epoch fetched");
  }
  log.proving = true;
}

// The broker has no memory of our leader epoch (its cluster state may have been put back from a
// copy). If the batch that we fetched last is still there, byte for byte, the log is the same.
void LeaderReader::prove(FollowedLog& log, const FetchedPartition& answer) {
  log.proving = false;
  const auto split = split_batches(answer.records, &trail_);
  if (split.batches.empty() || split.batches.front().base_offset() != log.last_batch->base ||
      split.batches.front().crc() != log.last_batch->crc) {
    return diverged(log, {}, answer.high_watermark, "other records lie where was fetched before");
  }
  spdlog::warn("kafka: {}: the broker forgot leader epoch {}; its records are the same, going on",
               to_string(log.id), log.last_epoch);
  log.last_epoch = LeaderEpoch(-1);
  take_records(log, answer);
}

void LeaderReader::skip_to(FollowedLog& log, Offset log_start) {
  const std::string why = "retention or DeleteRecords passed: the log starts later now";
  spdlog::error("kafka: {}: [{}, {}) is lost: {}", to_string(log.id), log.next, log_start, why);
  tell([&] { sink_.on_gap(log.id, log.next, log_start, why); });
  log.next = log_start;
  log.last_epoch = LeaderEpoch(-1);
  log.last_batch.reset();
  log.proving = false;
}

void LeaderReader::diverged(FollowedLog& log, std::optional<Offset> same_below, Offset log_end,
                            const std::string& why) {
  spdlog::error("kafka: {}: fetched to {}, but the log was cut back and ends at {} ({})",
                to_string(log.id), log.next, log_end, why);
  const Divergence divergence{log.next, same_below, log_end, log.asked_epoch, why};
  const bool go_on = tell([&] { return sink_.on_diverged(log.id, divergence); });
  log.forget();
  log.stopped = !go_on;
}

void LeaderReader::pause(FollowedLog& log, Millis time, const std::string& trouble) {
  if (log.trouble != trouble) spdlog::warn("kafka: {}: {}", to_string(log.id), trouble);
  log.trouble = trouble;
  log.not_before = clock_.steady() + time;
}

}  // namespace lifeboat::kafka
