#include "cli/logbook_cat.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <memory>

#include "base/file.hpp"
#include "cli/output.hpp"
#include "cli/record_text.hpp"
#include "cli/session.hpp"
#include "recovery/history.hpp"
#include "recovery/read_back.hpp"

namespace lifeboat::cli {
namespace {

using Partition = recovery::ArchivedTopic::Partition;

struct CatOptions {
  std::string what;  // TOPIC[/PARTITION]
  std::string from;
  std::string to;
  std::string format = "json";
  std::string delimiter = "\\n";
  std::string isolation;
  std::string topic_id;
  std::string file;
  bool skip_gaps = false;
  bool lost = false;
};
struct Asked {
  std::string topic;
  std::optional<PartitionId> partition;
  std::optional<recovery::Bound> from;
  std::optional<recovery::Bound> to;
  recovery::Isolation isolation = recovery::Isolation::read_committed;
};
Asked parse(const CatOptions& options, Timestamp now);
recovery::ArchivedTopic choose_topic(const vault::Logbook& logbook, const Asked& asked,
                                     const CatOptions& options);
std::vector<Partition> choose_partitions(const recovery::ArchivedTopic& topic, const Asked& asked);
bool tell_missing(const vault::Logbook& logbook, const Partition& partition,
                  const recovery::ReadRange& range);
void print_records(const vault::Logbook& logbook, const Partition& partition,
                   const recovery::ReadRange& range, const Asked& asked, const CatOptions& options,
                   const Cancel& cancel);
void write_batches(const vault::Logbook& logbook, const Partition& partition,
                   const recovery::ReadRange& range, const std::string& file, const Cancel& cancel);

// Of a partition, what is to be printed: all of it, or what its cluster lost.
std::vector<recovery::LostPart> parts_of(const vault::Logbook& logbook, const Partition& partition,
                                         const Asked& asked, bool lost);

// Prints what the logbook holds of a topic's range, partition by partition, each in the order of
// its offsets. What is missing is told first, and by the exit status.
int cat(const Globals& globals, const CatOptions& options) {
  Session session(globals, Form::other);
  const auto asked = parse(options, session.clock().now());
  const auto vault = recovery::open_vault(session.config());
  const auto logbook =
      options.lost ? vault::Logbook::load(vault.vault) : recovery::load_history(vault.vault);
  const auto partitions = choose_partitions(choose_topic(logbook, asked, options), asked);
  bool missing = false;
  for (const auto& one : partitions) {
    for (const auto& [partition, range] : parts_of(logbook, one, asked, options.lost)) {
      missing |= tell_missing(logbook, partition, range);
      if (options.format == "batches") {
        write_batches(logbook, partition, range, options.file, session.cancel());
      } else {
        print_records(logbook, partition, range, asked, options, session.cancel());
      }
    }
  }
  return missing && !options.skip_gaps ? exit_code(Code::failed) : 0;
}

template <typename T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "-15m": so long ago.
std::optional<Timestamp> relative_time(std::string_view text, Timestamp now) {
  if (text.size() < 3 || text.front() != '-') return std::nullopt;
  const auto amount = whole_number<std::uint32_t>(text.substr(1, text.size() - 2));
  if (!amount) return std::nullopt;
  const auto unit = [&]() -> std::int64_t {
    switch (text.back()) {
      case 's':
        return 1000;
      case 'm':
        return 60 * 1000;
      case 'h':
        return 3600 * 1000;
      case 'd':
        return 86400 * 1000;
      default:
        return 0;
    }
  }();
  if (unit == 0) return std::nullopt;
  return Timestamp(now.value - *amount * unit);
}

std::optional<recovery::Bound> parse_bound(const char* option, const std::string& text,
                                           Timestamp now) {
  if (text.empty()) return std::nullopt;
  const auto offset = whole_number<std::int64_t>(text);
  if (offset && *offset >= 0) return Offset(*offset);
  if (const auto time = relative_time(text, now)) return *time;
  if (const auto time = parse_timestamp(text)) return *time;
  throw Error(Code::usage, option, "is neither an offset nor a time: " + text,
              "an offset such as 1200, a time such as 2026-11-22T17:00:00Z, or -15m (s, m, h, d)");
}

Asked parse(const CatOptions& options, Timestamp now) {
  Asked asked;
  const auto slash = options.what.find('/');
  asked.topic = options.what.substr(0, slash);
  if (slash != std::string::npos) {
    const auto partition = whole_number<std::int32_t>(options.what.substr(slash + 1));
    if (!partition || *partition < 0) {
      throw Error(Code::usage, options.what, "is not TOPIC/PARTITION", "such as events/3");
    }
    asked.partition = PartitionId(*partition);
  }
  asked.from = parse_bound("--from", options.from, now);
  asked.to = parse_bound("--to", options.to, now);
  if (options.isolation == "read_uncommitted") {
    asked.isolation = recovery::Isolation::read_uncommitted;
  }
  if (options.format == "batches" && options.isolation == "read_committed") {
    throw Error(Code::usage, "--isolation",
                "whole batches are given as they are, with markers and what was aborted",
                "leave it out, or --format json");
  }
  return asked;
}

std::string describe(const recovery::ArchivedTopic& topic) {
  std::uint64_t bytes = 0;
  for (const auto& partition : topic.partitions) bytes += partition.summary.bytes.value;
  return fmt::format("topic id {} (cluster {}, {} partitions, {}, newest record {})",
                     topic.topic_id, topic.cluster_id, topic.partitions.size(),
                     format_bytes(ByteCount(bytes)), to_string(topic.newest));
}

// The newest of the topics that had this name, or the one with --topic-id.
recovery::ArchivedTopic choose_topic(const vault::Logbook& logbook, const Asked& asked,
                                     const CatOptions& options) {
  auto topics = recovery::archived_topics(logbook, asked.topic);
  if (topics.empty()) {
    throw Error(Code::not_found, asked.topic, "is not in the logbook",
                "lifeboat logbook ls lists what is");
  }
  if (!options.topic_id.empty()) {
    std::string known;
    for (auto& topic : topics) {
      if (topic.topic_id == options.topic_id) return std::move(topic);
      known += " " + topic.topic_id;
    }
    throw Error(Code::not_found, asked.topic,
                "has no topic id " + options.topic_id + " in the logbook", "known are" + known);
  }
  if (topics.size() > 1) {
    say(fmt::format("lifeboat: {} was made {} times; this is the newest, {}", asked.topic,
                    topics.size(), describe(topics.back())));
    for (std::size_t i = topics.size() - 1; i-- > 0;) {
      say(fmt::format("  --topic-id {}: {}", topics[i].topic_id, describe(topics[i])));
    }
  }
  return std::move(topics.back());
}

std::vector<Partition> choose_partitions(const recovery::ArchivedTopic& topic, const Asked& asked) {
  if (!asked.partition) return topic.partitions;
  for (const auto& partition : topic.partitions) {
    if (partition.log.partition == *asked.partition) return {partition};
  }
  throw Error(
      Code::not_found, fmt::format("{}/{}", topic.topic, *asked.partition), "is not in the logbook",
      fmt::format("the topic's partitions there are {} to {}",
                  topic.partitions.front().log.partition, topic.partitions.back().log.partition));
}

std::vector<recovery::LostPart> parts_of(const vault::Logbook& logbook, const Partition& partition,
                                         const Asked& asked, bool lost) {
  const auto asked_of = [&](const Partition& part) {
    return recovery::resolve_range(logbook, part, asked.from, asked.to);
  };
  if (!lost) return {{partition, asked_of(partition)}};
  std::vector<recovery::LostPart> parts;
  for (auto& part : recovery::lost_parts(logbook, partition.log)) {
    const auto wanted = asked_of(part.partition);
    part.range = {std::max(part.range.from, wanted.from), std::min(part.range.until, wanted.until)};
    if (part.range.from >= part.range.until) continue;
    say(fmt::format("lifeboat: {}: the cluster went on without [{}, {}) of {}",
                    to_string(partition.log.topic_partition()), part.range.from, part.range.until,
                    part.partition.summary.log.value));
    parts.push_back(std::move(part));
  }
  if (parts.empty()) {
    say(fmt::format("lifeboat: {}: the cluster lost nothing of this range",
                    to_string(partition.log.topic_partition())));
  }
  return parts;
}

bool tell_missing(const vault::Logbook& logbook, const Partition& partition,
                  const recovery::ReadRange& range) {
  const auto missing = recovery::missing_of(logbook, partition, range);
  for (const auto& one : missing) {
    say(fmt::format("lifeboat: {} lacks [{}, {}): {}", to_string(partition.log.topic_partition()),
                    one.range.from, one.range.until, one.why));
  }
  return !missing.empty();
}

void print_records(const vault::Logbook& logbook, const Partition& partition,
                   const recovery::ReadRange& range, const Asked& asked, const CatOptions& options,
                   const Cancel& cancel) {
  const auto tp = partition.log.topic_partition();
  const bool values = options.format == "values";
  const auto delimiter = unescape(options.delimiter);
  std::uint64_t nulls = 0;
  std::string line;
  const auto result =
      recovery::read_records(logbook, partition, range, asked.isolation, cancel,
                             [&](const kafka::BatchView& batch, const kafka::Record& record) {
                               if (values) {
                                 nulls += record.value ? 0 : 1;
                                 print_data(record.value.value_or(std::string_view()));
                                 return print_data(delimiter);
                               }
                               line.clear();
                               append_json(line, tp, batch, record);
                               print_data(line);
                             });
  finish_stdout();
  if (nulls > 0) {
    say(
        fmt::format("lifeboat: {}: {} of {} values are null, given as empty; --format json tells "
                    "them apart",
                    to_string(tp), nulls, result.taken));
  }
  if (result.open_transactions > 0) {
    say(
        fmt::format("lifeboat: {}: {} transactions have no end in the logbook; their records are "
                    "left out (--isolation read_uncommitted gives them)",
                    to_string(tp), result.open_transactions));
  }
}

// Under the name that Kafka gives a segment, in a folder; else where `file` says; else on stdout.
class BatchFile {
 public:
  explicit BatchFile(std::string file) : path_(std::move(file)) {}

  void add(const kafka::BatchView& batch) {
    if (path_.empty()) return print_data(batch.bytes());
    if (!fd_) open(batch.base_offset());
    write_all(fd_.get(), batch.bytes(), path_.string());
  }
  void finish(std::uint64_t batches) {
    if (path_.empty()) return finish_stdout();
    if (!fd_) throw Error(Code::not_found, path_.string(), "there is no batch in this range");
    say(fmt::format("lifeboat: {} batches in {}", batches, path_.string()));
  }

 private:
  void open(Offset base) {
    if (std::filesystem::is_directory(path_)) path_ /= fmt::format("{:020}.log", base.value);
    fd_ = open_file(path_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  }

  std::filesystem::path path_;
  Fd fd_;
};

void write_batches(const vault::Logbook& logbook, const Partition& partition,
                   const recovery::ReadRange& range, const std::string& file,
                   const Cancel& cancel) {
  BatchFile out(file);
  const auto result = recovery::read_batches(
      logbook, partition, range, cancel, [&](const kafka::BatchView& batch) { out.add(batch); });
  out.finish(result.taken);
}

void check_batches(const CatOptions& options) {
  if (options.format != "batches") {
    if (options.file.empty()) return;
    throw Error(Code::usage, "-o", "is for --format batches", "stdout can be redirected");
  }
  if (options.what.find('/') == std::string::npos) {
    throw Error(Code::usage, "--format batches", "is for one partition", options.what + "/0");
  }
}

}  // namespace

void add_logbook_cat(CLI::App& logbook, Invocation& invocation) {
  auto options = std::make_shared<CatOptions>();
  auto* verb = logbook.add_subcommand("cat", "Print archived records of Kafka");
  verb->add_option("what", options->what, "TOPIC or TOPIC/PARTITION")->required();
  verb->add_option("--from", options->from,
                   "First offset, or a time: its first record of then or later "
                   "(2026-11-22T17:00:00Z, -15m). Default: all that is archived");
  verb->add_option("--to", options->to, "Up to before this offset or time");
  verb->add_option("--format", options->format, "json: one a line (default); values; batches: raw")
      ->check(CLI::IsMember({"json", "values", "batches"}));
  verb->add_option("--delimiter", options->delimiter, "After each value (default: \\n)");
  verb->add_option("--isolation", options->isolation,
                   "read_committed (default): without records of aborted and unfinished "
                   "transactions; read_uncommitted")
      ->check(CLI::IsMember({"read_committed", "read_uncommitted"}));
  verb->add_option("--topic-id", options->topic_id,
                   "Of several topics that had this name (default: the newest)");
  verb->add_option("-o,--output", options->file,
                   "With --format batches: a new file, or a folder for <first offset>.log");
  verb->add_flag("--lost", options->lost,
                 "Only what the brokers lost when a partition was cut back and written anew");
  verb->add_flag("--skip-gaps", options->skip_gaps, "Gaps do not change the exit status");
  verb->callback([&invocation, options] {
    invocation.choose(
        [options](const Globals& g) {
          check_batches(*options);
          return cat(g, *options);
        },
        Form::other);
  });
}

}  // namespace lifeboat::cli
