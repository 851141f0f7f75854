#include "kafka/fetcher.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/buffer_pool.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/thread.hpp"
#include "kafka/cluster.hpp"
#include "kafka/followed_log.hpp"
#include "kafka/leader_reader.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kTick{50};
constexpr Millis kFirstPause{100};
constexpr Millis kLongestPause{1000};
// A broker answers the requests of one connection one after the other: on two, it prepares an
// answer while the other one's is taken in.
constexpr int kLanes = 2;
const std::string kReading = "reading from Kafka's brokers";
// A flush gives back half a dozen answers at once, which all connections fill again.
constexpr std::size_t kSpareBuffers = 6;
constexpr std::uint64_t kAnswerOverhead = 64 * 1024;  // beside the batches, with many partitions

bool is_cancelled(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == Code::cancelled;
  } catch (...) {
    return false;
  }
}

}  // namespace

bool glob_matches(const std::string& glob, const std::string& name) {
  std::size_t g = 0;
  std::size_t n = 0;
  std::optional<std::size_t> star;  // the last one seen; its run ends at `behind`
  std::size_t behind = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      behind = n;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g;
      ++n;
    } else if (star) {
      g = *star + 1;
      n = ++behind;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string::npos;
}

bool is_chosen(const TopicInfo& topic, const std::vector<std::string>& include,
               const std::vector<std::string>& exclude) {
  const auto matches = [&](const std::string& glob) { return glob_matches(glob, topic.name); };
  const auto names_it = [&](const std::string& glob) {
    return topic.internal ? glob == topic.name : matches(glob);
  };
  return std::any_of(include.begin(), include.end(), names_it) &&
         std::none_of(exclude.begin(), exclude.end(), matches);
}

struct Fetcher::State {
  State(Config c, FetchOptions o, FetchSink& s, Clock& k)
      : config(std::move(c)),
        options(std::move(o)),
        sink(s),
        clock(k),
        buffers(kSpareBuffers, options.max_bytes_per_response + kAnswerOverhead) {}

  Config config;
  FetchOptions options;
  FetchSink& sink;
  Clock& clock;
  BufferPool buffers;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::map<LogId, std::unique_ptr<FollowedLog>> logs;
  std::map<BrokerId, BrokerInfo> brokers;
  std::map<BrokerId, int> lanes_given;
  bool refresh_wanted = false;
  std::uint64_t share_seen = 0;
  std::optional<std::chrono::steady_clock::time_point> refreshed;
  std::exception_ptr failure;

  std::map<Lane, std::thread> threads;  // only run() touches it
  std::string last_trouble;

  bool chosen(const TopicInfo& topic) const {
    return !topic.topic_id.empty() && is_chosen(topic, options.include, options.exclude);
  }

  std::uint64_t share_version() const {
    return options.share == nullptr ? 0 : options.share->version();
  }

  bool refresh_is_due() {
    std::lock_guard lock(mutex);
    const auto now = clock.steady();
    if (const auto now_at = share_version(); now_at != share_seen) {
      share_seen = now_at;
      refreshed = now;
      return true;
    }
    const auto pause = refresh_wanted ? kFirstPause : options.metadata_refresh;
    if (refreshed && now - *refreshed < pause) return false;
    refreshed = now;
    refresh_wanted = false;
    return true;
  }
  void refresh(Cluster& cluster, const Cancel& stop);
  void follow(const ClusterInfo& info);
  void read_from(Lane lane, const Cancel& stop);
  std::vector<FollowedLog*> borrow(Lane lane);
  void give_back(const std::vector<FollowedLog*>& borrowed, bool refresh_now);
  BrokerInfo address_of(BrokerId id) {
    std::lock_guard lock(mutex);
    return brokers[id];
  }

  void fail(std::exception_ptr error, Cancel& stop) {
    std::lock_guard lock(mutex);
    if (!failure) failure = std::move(error);
    stop.request();
  }
};

Fetcher::Fetcher(Config config, FetchOptions options, FetchSink& sink, Clock& clock)
    : state_(std::make_unique<State>(std::move(config), std::move(options), sink, clock)) {}
Fetcher::~Fetcher() = default;

// Logs that vanish from the metadata stay known: when they come back (a broker that starts tells of
// no topics at first) they go on where they were.
void Fetcher::State::follow(const ClusterInfo& info) {
  std::lock_guard lock(mutex);
  for (const auto& broker : info.brokers) brokers[broker.id] = broker;
  for (auto& [id, log] : logs) log->leader = BrokerId(-1);
  for (const auto& topic : info.topics) {
    if (!chosen(topic)) continue;
    for (const auto& partition : topic.partitions) {
      const LogId id{info.cluster_id, topic.topic_id, topic.name, partition.id};
      auto& log = logs[id];
      if (!log) {
        log = std::make_unique<FollowedLog>(id);
        spdlog::debug("kafka: following {}", to_string(id));
      }
      log->leader = partition.leader;
      if (log->lane.broker != partition.leader) {
        log->lane = {partition.leader, lanes_given[partition.leader]++ % kLanes};
      }
      log->leader_epoch = partition.leader_epoch;
      const bool ours = options.share == nullptr || options.share->has({topic.name, partition.id});
      if (log->ours && !ours) log->restart = true;
      log->ours = ours;
    }
  }
  changed.notify_all();
}

void Fetcher::State::refresh(Cluster& cluster, const Cancel& stop) {
  try {
    follow(cluster.metadata());
    if (!last_trouble.empty()) spdlog::info("kafka: the cluster answers again");
    last_trouble.clear();
  } catch (Error& error) {
    stop.check();
    // A password or certificate that is wrong from the start ends the run; one that was changed
    // while it went on may be put right.
    const bool let_in_before = !brokers.empty() && error.code() == Code::denied;
    if (error.code() != Code::unavailable && error.code() != Code::timeout && !let_in_before) throw;
    if (last_trouble != error.what()) spdlog::warn("kafka: {}", error.what());
    last_trouble = error.what();
    std::lock_guard lock(mutex);
    refresh_wanted = true;
  }
}

std::vector<FollowedLog*> Fetcher::State::borrow(Lane lane) {
  std::unique_lock lock(mutex);
  std::vector<FollowedLog*> borrowed;
  const auto now = clock.steady();
  for (auto& [_, log] : logs) {
    if (log->leader != lane.broker || log->lane != lane || log->busy || !log->ours) continue;
    if (std::exchange(log->restart, false)) log->forget();
    if (log->stopped || log->not_before > now) continue;
    log->busy = true;
    log->asked_epoch = log->leader_epoch;
    borrowed.push_back(log.get());
  }
  if (borrowed.empty()) changed.wait_for(lock, kTick);
  return borrowed;
}

void Fetcher::State::give_back(const std::vector<FollowedLog*>& borrowed, bool refresh_now) {
  std::lock_guard lock(mutex);
  if (refresh_now) refresh_wanted = true;
  for (auto* log : borrowed) log->busy = false;
}

void Fetcher::State::read_from(Lane lane, const Cancel& stop) {
  LeaderReader reader(config, options, sink, clock, buffers, stop);
  Millis pause = kFirstPause;
  std::string trouble;
  while (!stop.requested()) {
    const auto borrowed = borrow(lane);
    if (borrowed.empty()) continue;
    std::optional<Error> broken;
    bool refresh_now = true;
    try {
      refresh_now = reader.read(address_of(lane.broker), borrowed);
    } catch (Error& error) {
      if (error.code() == Code::unsupported) throw;
      broken = std::move(error);
    }
    give_back(borrowed, refresh_now);
    if (!broken) {
      pause = kFirstPause;
      trouble.clear();
      continue;
    }
    if (stop.requested()) return;
    if (trouble != broken->what())
      spdlog::warn("kafka: broker {}: {}", lane.broker, broken->what());
    trouble = broken->what();
    stop.sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

void Fetcher::run(const Cancel& cancel) {
  auto& s = *state_;
  Cancel stop;  // ours, so that a failure of one thread ends the others, too
  Cluster cluster(s.config, s.clock, &stop);
  const auto start_threads = [&] {
    std::lock_guard lock(s.mutex);
    for (const auto& broker : s.brokers) {
      for (int number = 0; number < kLanes; ++number) {
        const Lane lane{broker.first, number};
        if (s.threads.contains(lane)) continue;
        s.threads[lane] = start_thread(kReading, [&s, &stop, lane] {
          try {
            s.read_from(lane, stop);
          } catch (const SinkFailure& failure) {
            s.fail(failure.cause, stop);
          } catch (...) {
            s.fail(std::current_exception(), stop);
          }
        });
      }
    }
  };
  // Passes the caller's wish on while cluster.metadata() blocks.
  std::thread relay = start_thread(kReading, [&] {
    while (!stop.requested()) {
      if (!cancel.sleep_for(kTick)) stop.request();
    }
  });
  try {
    while (!stop.requested()) {
      if (s.refresh_is_due()) {
        s.refresh(cluster, stop);
        start_threads();
      }
      stop.sleep_for(kTick);
    }
  } catch (...) {
    s.fail(std::current_exception(), stop);
  }
  stop.request();
  relay.join();
  for (auto& [_, thread] : s.threads) thread.join();
  s.threads.clear();
  const auto failure = std::exchange(s.failure, nullptr);
  if (failure && !(cancel.requested() && is_cancelled(failure))) std::rethrow_exception(failure);
}

}  // namespace lifeboat::kafka
