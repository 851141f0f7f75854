#include "kafka/cluster.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include "base/error.hpp"
#include "kafka/brokers.hpp"
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
  State(Config config, Clock& clock, const Cancel* cancel)
      : brokers(std::move(config), clock, cancel) {}

  std::mutex mutex;
  Brokers brokers;
};

Cluster::Cluster(Config config, Clock& clock, const Cancel* cancel)
    : state_(std::make_unique<State>(std::move(config), clock, cancel)) {}
Cluster::~Cluster() = default;

ClusterInfo Cluster::metadata() {
  std::lock_guard lock(state_->mutex);
  return while_doing("asking for metadata", [&] { return state_->brokers.metadata(); });
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
      const auto request = list_offsets_request(state_->brokers.config().client_id, which, of);
      for (const auto& one :
           parse_list_offsets(state_->brokers.ask(broker, request), broker.host)) {
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
  state_->brokers.until_done("asking for the offsets of partitions", [&](auto&) {
    if (missing.empty()) return true;
    const auto info = state_->brokers.metadata();
    for (const auto& tp : missing) found[tp].log_start = Offset(INT64_MAX);
    for (const auto& [leader, of] : by_leader(info, missing)) ask(*info.broker(leader), of);
    return missing.empty();
  });
  return found;
}

Cluster::ProducerIdentity Cluster::new_producer() {
  std::lock_guard lock(state_->mutex);
  ProducerIdentity identity{};
  state_->brokers.until_done("asking for a producer id", [&](auto&) {
    std::string from;
    const auto bytes =
        state_->brokers.ask_any(init_producer_id_request(state_->brokers.config().client_id), from);
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
    Connection connection(broker.host, broker.port, state_->brokers.config(),
                          &state_->brokers.cancel());
    for (std::int64_t id = -1, taken = 0; id <= past; ++taken) {
      if (taken > 0 && past - id > most) {
        throw Error(Code::unsupported, connection.name(),
                    fmt::format("hands out producer id {}, and the logs hold {}", id, past),
                    "restore by --kafka produce");
      }
      const auto answer = parse_init_producer_id(
          connection.call(init_producer_id_request(state_->brokers.config().client_id)),
          connection.name());
      if (answer.error == kNone) {
        id = answer.id;
      } else if (is_retriable(answer.error)) {
        state_->brokers.cancel().sleep_for(kPause);
      } else {
        throw Error(Code::failed, connection.name(),
                    "InitProducerId: " + protocol_error_name(answer.error));
      }
      state_->brokers.cancel().check();
    }
  }
}

}  // namespace lifeboat::kafka
