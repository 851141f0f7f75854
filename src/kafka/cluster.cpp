#include "kafka/cluster.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include "base/error.hpp"
#include "kafka/connection.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kPause{100};

}  // namespace

const TopicInfo* ClusterInfo::topic(const std::string& name) const {
  const auto found =
      std::find_if(topics.begin(), topics.end(), [&](const auto& t) { return t.name == name; });
  return found == topics.end() ? nullptr : &*found;
}

const PartitionInfo* ClusterInfo::partition(const TopicPartition& tp) const {
  const auto* of = topic(tp.topic);
  if (of == nullptr) return nullptr;
  const auto found = std::find_if(of->partitions.begin(), of->partitions.end(),
                                  [&](const auto& p) { return p.id == tp.partition; });
  return found == of->partitions.end() ? nullptr : &*found;
}

const BrokerInfo* ClusterInfo::broker(BrokerId id) const {
  const auto found =
      std::find_if(brokers.begin(), brokers.end(), [&](const auto& b) { return b.id == id; });
  return found == brokers.end() ? nullptr : &*found;
}

struct Cluster::State {
  State(Config c, Clock& k, const Cancel* x) : config(std::move(c)), clock(k), cancel(x) {}

  Config config;
  Clock& clock;
  const Cancel* cancel;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Connection>> connections;  // by "host:port"
  std::vector<BrokerInfo> known;

  // Asks one broker; a broken connection that lay idle is opened anew once.
  std::string ask(const BrokerInfo& broker, const Request& request) {
    auto& connection = connections[broker.host + ":" + std::to_string(broker.port)];
    const bool old = connection != nullptr;
    try {
      if (!old) connection = std::make_unique<Connection>(broker.host, broker.port, config, cancel);
      return connection->call(request);
    } catch (Error& error) {
      connection.reset();
      if (!old || error.code() != Code::unavailable) throw;
    }
    return ask(broker, request);
  }

  // Asks brokers one after the other until one gives an answer.
  std::string ask_any(const Request& request, std::string& from) {
    std::vector<BrokerInfo> candidates = known;
    for (const auto& address : config.bootstrap) candidates.push_back(parse_address(address));
    std::optional<Error> last;
    for (const auto& broker : candidates) {
      try {
        from = broker.host + ":" + std::to_string(broker.port);
        return ask(broker, request);
      } catch (Error& error) {
        if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
        last = error;
      }
    }
    if (!last) throw Error(Code::config, "kafka", "no bootstrap broker is named");
    throw std::move(*last);
  }

  ClusterInfo metadata() {
    std::string from;
    const auto answer = ask_any(metadata_request(config.client_id), from);
    auto info = parse_metadata(answer, from);
    if (!info.brokers.empty()) known = info.brokers;
    return info;
  }

  // Runs `attempt` until it returns true; an Error that time may heal, too, is tried again.
  template <typename F>
  void until_done(const std::string& what, F attempt) {
    const auto end = clock.steady() + config.request_timeout;
    const Cancel never;
    for (;;) {
      std::optional<Error> error;
      try {
        if (attempt()) return;
      } catch (Error& caught) {
        if (caught.code() != Code::unavailable && caught.code() != Code::timeout) throw;
        error = caught;
      }
      if (clock.steady() >= end) {
        if (error) throw std::move(*error).during(what);
        throw Error(Code::timeout, what, "the cluster does not settle");
      }
      (cancel != nullptr ? *cancel : never).sleep_for(kPause);
      if (cancel != nullptr) cancel->check();
    }
  }
};

Cluster::Cluster(Config config, Clock& clock, const Cancel* cancel)
    : state_(std::make_unique<State>(std::move(config), clock, cancel)) {}
Cluster::~Cluster() = default;

ClusterInfo Cluster::metadata() {
  std::lock_guard lock(state_->mutex);
  return while_doing("asking for metadata", [&] { return state_->metadata(); });
}

namespace {

std::map<BrokerId, std::vector<TopicPartition>> by_leader(const ClusterInfo& info,
                                                          const std::set<TopicPartition>& wanted) {
  std::map<BrokerId, std::vector<TopicPartition>> leaders;
  for (const auto& tp : wanted) {
    const auto* partition = info.partition(tp);
    if (partition == nullptr) throw Error(Code::not_found, to_string(tp), "no such partition");
    if (info.broker(partition->leader) != nullptr) leaders[partition->leader].push_back(tp);
  }
  return leaders;
}

}  // namespace

std::map<TopicPartition, PartitionOffsets> Cluster::offsets(
    const std::vector<TopicPartition>& partitions) {
  std::lock_guard lock(state_->mutex);
  std::map<TopicPartition, PartitionOffsets> found;
  std::set<TopicPartition> missing(partitions.begin(), partitions.end());

  const auto ask = [&](const BrokerInfo& broker, const std::vector<TopicPartition>& of) {
    for (const auto which : {Which::earliest, Which::latest}) {
      const auto request = list_offsets_request(state_->config.client_id, which, of);
      for (const auto& one : parse_list_offsets(state_->ask(broker, request), broker.host)) {
        if (one.error != kNone && !is_retriable(one.error)) {
          throw Error(Code::failed, to_string(one.partition), protocol_error_name(one.error));
        }
        if (one.error != kNone || !missing.contains(one.partition)) continue;
        auto& offsets = found[one.partition];
        (which == Which::earliest ? offsets.log_start : offsets.high_watermark) = one.offset;
        // The earliest may have failed: only both make it done.
        if (which == Which::latest && offsets.log_start <= offsets.high_watermark) {
          missing.erase(one.partition);
        }
      }
    }
  };
  state_->until_done("asking for the offsets of partitions", [&] {
    if (missing.empty()) return true;
    const auto info = state_->metadata();
    for (const auto& tp : missing) found[tp].log_start = Offset(INT64_MAX);
    for (const auto& [leader, of] : by_leader(info, missing)) ask(*info.broker(leader), of);
    return missing.empty();
  });
  return found;
}

bool Cluster::evict(const std::string& group, const std::string& member_id) {
  std::lock_guard lock(state_->mutex);
  bool was_there = false;
  state_->until_done("taking member " + member_id + " out of group " + group, [&] {
    std::string from;
    const auto found =
        state_->ask_any(find_coordinator_request(state_->config.client_id, group), from);
    const auto coordinator = parse_find_coordinator(found, from);
    auto error = coordinator.error;
    if (error == kNone) {
      const auto request = leave_group_request(state_->config.client_id, group, member_id);
      error = parse_leave_group(state_->ask(coordinator.broker, request), from);
    }
    was_there = error == kNone;
    if (error == kNone || error == kUnknownMemberId) return true;
    if (is_retriable(error)) return false;
    throw Error(Code::failed, group, "LeaveGroup: " + protocol_error_name(error));
  });
  return was_there;
}

Cluster::ProducerIdentity Cluster::new_producer() {
  std::lock_guard lock(state_->mutex);
  ProducerIdentity identity{};
  state_->until_done("asking for a producer id", [&] {
    std::string from;
    const auto bytes = state_->ask_any(init_producer_id_request(state_->config.client_id), from);
    const auto answer = parse_init_producer_id(bytes, from);
    identity = {answer.id, answer.epoch};
    if (answer.error == kNone || is_retriable(answer.error)) return answer.error == kNone;
    throw Error(Code::failed, from, "InitProducerId: " + protocol_error_name(answer.error));
  });
  return identity;
}

void Cluster::skip_producer_ids(std::int64_t past) {
  if (past < 0) return;
  constexpr std::int64_t most = 5'000'000;
  for (const auto& broker : metadata().brokers) {
    Connection connection(broker.host, broker.port, state_->config, state_->cancel);
    for (std::int64_t id = -1, taken = 0; id <= past; ++taken) {
      if (taken > 0 && past - id > most) {
        throw Error(Code::unsupported, connection.name(),
                    fmt::format("hands out producer id {}, and the logs hold {}", id, past),
                    "restore by --kafka produce");
      }
      const auto answer = parse_init_producer_id(
          connection.call(init_producer_id_request(state_->config.client_id)), connection.name());
      if (answer.error == kNone) {
        id = answer.id;
      } else if (is_retriable(answer.error)) {
        const Cancel never;
        (state_->cancel != nullptr ? *state_->cancel : never).sleep_for(kPause);
      } else {
        throw Error(Code::failed, connection.name(),
                    "InitProducerId: " + protocol_error_name(answer.error));
      }
      if (state_->cancel != nullptr) state_->cancel->check();
    }
  }
}

}  // namespace lifeboat::kafka
