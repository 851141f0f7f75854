#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "recovery/log_names.hpp"
#include "recovery/restore_session.hpp"
#include "recovery/seed.hpp"

// The steps that write partitions into the brokers' log dirs. The journal's member "seed":
// "folders" (partition -> its folders), "done" (partition -> what was written).
namespace lifeboat::recovery {
namespace {

constexpr std::size_t kWriters = 2;  // threads, each with a partition of its own

nlohmann::json& state(RestoreSession& s) {
  auto& seed = s.journal.data()["seed"];
  if (!seed.is_object()) seed = nlohmann::json::object();
  return seed;
}

const std::map<std::string, std::vector<std::filesystem::path>>& log_dirs(RestoreSession& s) {
  return s.context.config.kafka->log_dirs;
}

std::vector<SeededLog> seeded_logs(RestoreSession& s) {
  std::vector<SeededLog> out;
  for (const auto& chosen : s.chosen_topics()) {
    for (const auto& summary : chosen.summaries) {
      out.push_back(
          {*parse_kafka_log(summary.log), Offset(summary.first.value), Offset(summary.next.value)});
    }
  }
  return out;
}

// Where the replicas of a partition lie; nullopt while a broker has not made its folder yet.
std::optional<std::vector<std::filesystem::path>> folders_of(RestoreSession& s,
                                                             const kafka::ClusterInfo& info,
                                                             const kafka::TopicPartition& tp) {
  const auto* partition = info.partition(tp);
  if (partition == nullptr || partition->replicas.empty()) return std::nullopt;
  std::vector<std::filesystem::path> out;
  for (const auto& broker : partition->replicas) {
    const auto dirs = log_dirs(s).find(std::to_string(broker.value));
    if (dirs == log_dirs(s).end()) {
      throw Error(Code::config, s.context.config.file.string(),
                  fmt::format("kafka.log_dirs does not name broker {}, which holds {}", broker,
                              kafka::to_string(tp)),
                  "name its log.dirs there, or make a new plan with --kafka produce");
    }
    auto folder = kafka::find_partition_folder(dirs->second, tp, info.topic(tp.topic)->topic_id);
    if (!folder) return std::nullopt;
    out.push_back(std::move(*folder));
  }
  return out;
}

bool any_in_use(RestoreSession& s) {
  for (const auto& [broker, dirs] : log_dirs(s)) {
    for (const auto& dir : dirs) {
      if (kafka::log_dir_in_use(dir)) return true;
    }
  }
  return false;
}

void forget_all(RestoreSession& s, const std::vector<SeededLog>& logs) {
  std::map<std::filesystem::path, std::map<kafka::TopicPartition, Offset>> starts;
  for (const auto& log : logs) {
    const auto tp = log.log.topic_partition();
    for (const auto& folder : state(s).at("folders").at(kafka::to_string(tp))) {
      starts[std::filesystem::path(folder.get<std::string>()).parent_path()][tp] = log.first;
    }
  }
  for (const auto& [log_dir, of] : starts) kafka::forget_partitions(log_dir, of);
}

// Writes what an interrupted run has not, several partitions at a time.
class Writers {
 public:
  Writers(RestoreSession& s, const std::vector<SeededLog>& logs, std::uint64_t total)
      : s_(s), logs_(logs), logbook_(s.logbook()), total_(total) {}

  void run() {
    for_each_index(logs_.size(), kWriters, [this](std::size_t i) {
      if (!is_done(logs_[i])) write(logs_[i]);
    });
  }

 private:
  bool is_done(const SeededLog& log) {
    std::lock_guard lock(mutex_);
    return state(s_)["done"].contains(kafka::to_string(log.log.topic_partition()));
  }

  void write(const SeededLog& log) {
    const auto name = kafka::to_string(log.log.topic_partition());
    std::vector<std::filesystem::path> folders;
    {
      std::lock_guard lock(mutex_);
      for (const auto& each : state(s_).at("folders").at(name)) {
        folders.emplace_back(each.get<std::string>());
      }
    }
    const auto written = seed_log(s_.context, logbook_, log, folders, [this](std::uint64_t n) {
      s_.context.reporter.progress("partitions", bytes_ += n, total_, "bytes");
    });
    std::lock_guard lock(mutex_);
    state(s_)["done"][name] = {{"first", log.first.value},
                               {"next", log.next.value},
                               {"end", written.end.value},
                               {"aborted", written.aborted},
                               {"producer", written.highest_producer}};
    s_.journal.save();
  }

  RestoreSession& s_;
  const std::vector<SeededLog>& logs_;
  const vault::Logbook& logbook_;
  std::uint64_t total_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> bytes_ = 0;
};

std::uint64_t total_bytes(RestoreSession& s) {
  std::uint64_t total = 0;
  for (const auto& chosen : s.chosen_topics()) {
    for (const auto& summary : chosen.summaries) total += summary.bytes.value;
  }
  return total;
}

void require_stopped(RestoreSession& s) {
  if (!any_in_use(s)) return;
  throw Error(Code::refused, "kafka", "a broker runs on the log dirs that are to be written",
              "stop it, then run the same command again");
}

}  // namespace

void seed_stop(RestoreSession& s) {
  nlohmann::json folders = nlohmann::json::object();
  s.wait_until("the brokers make the partitions' folders", [&] {
    return answers([&] {
      const auto info = s.cluster().metadata();
      for (const auto& log : seeded_logs(s)) {
        const auto found = folders_of(s, info, log.log.topic_partition());
        if (!found) return false;
        auto& list = folders[kafka::to_string(log.log.topic_partition())];
        list = nlohmann::json::array();
        for (const auto& folder : *found) list.push_back(folder.string());
      }
      return true;
    });
  });
  state(s)["folders"] = std::move(folders);
  s.journal.save();
}

void seed_write(RestoreSession& s) {
  s.wait_until("stop all of Kafka's brokers now", [&] {
    return !any_in_use(s) && !answers([&] { return !s.cluster().metadata().brokers.empty(); });
  });
  require_stopped(s);
  const auto logs = seeded_logs(s);
  forget_all(s, logs);
  if (!state(s).contains("done")) state(s)["done"] = nlohmann::json::object();
  Writers(s, logs, total_bytes(s)).run();
}

void seed_start(RestoreSession& s) {
  s.wait_until("start Kafka's brokers now, without producers", [&] {
    return answers([&] {
      const auto info = s.cluster().metadata();
      for (const auto& log : seeded_logs(s)) {
        const auto* partition = info.partition(log.log.topic_partition());
        if (partition == nullptr || partition->leader.value < 0) return false;
        if (partition->isr.size() < partition->replicas.size()) return false;
      }
      return !info.brokers.empty();
    });
  });
}

void seed_verify(RestoreSession& s) {
  std::int64_t producer = -1;
  for (const auto& [name, done] : state(s).at("done").items()) {
    producer = std::max(producer, done.at("producer").get<std::int64_t>());
    if (const auto n = done.at("aborted").get<int>(); n > 0) {
      s.notes.push_back(fmt::format("{}: {} transactions without an end were aborted", name, n));
      s.context.reporter.note(s.notes.back());
    }
  }
  s.cluster().skip_producer_ids(producer);
  const auto logs = seeded_logs(s);
  const auto total = total_bytes(s);
  std::uint64_t bytes = 0;
  compare_seeded(s.context, s.logbook(), logs, [&](std::uint64_t n) {
    s.context.reporter.progress("read back", bytes += n, total, "bytes");
  });
  // Offsets are the old ones; cursors outside of the log go to its ends.
  for (const auto& log : logs) {
    kafka::OffsetTranslation same(log.first);
    if (log.first < log.next) same.add(log.first, log.next, log.first);
    s.keep_translation(log.log.topic_partition(), same);
  }
  s.journal.save();
}

}  // namespace lifeboat::recovery
