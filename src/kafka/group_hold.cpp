#include "kafka/group_hold.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/log.hpp"
#include "base/thread.hpp"
#include "kafka/admin.hpp"
#include "kafka/client.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kPause{50};
constexpr int kPollMs = 50;

// A hold that dies must not keep the others out for long.
const std::map<std::string, std::string> kMemberSettings = {
    {"partition.assignment.strategy", "cooperative-sticky"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "1000"},
    {"queued.max.messages.kbytes", "1024"},
    {"fetch.message.max.bytes", "65536"},
};

// The assignment is taken, as the protocol wants it, and not read.
void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code,
                  rd_kafka_topic_partition_list_t* partitions, void*) {
  rd_kafka_error_t* error = nullptr;
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    error = rd_kafka_incremental_assign(client, partitions);
    rd_kafka_pause_partitions(client, partitions);
  } else {
    error = rd_kafka_incremental_unassign(client, partitions);
  }
  if (error == nullptr) return;
  spdlog::warn("kafka: group hold: {}", rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
}

Client join(const Config& config, const std::string& group,
            const std::vector<std::string>& topics) {
  auto settings = kMemberSettings;
  settings["group.id"] = group;
  settings["client.id"] = config.client_id + "-hold";
  auto conf = client_conf(config, settings);
  rd_kafka_conf_set_rebalance_cb(conf.get(), on_rebalance);
  auto client = make_client(RD_KAFKA_CONSUMER, std::move(conf));
  rd_kafka_poll_set_consumer(client.get());
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const auto& topic : topics) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  const auto code = rd_kafka_subscribe(client.get(), list.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    throw client_error(code, "group " + group, "subscribing");
  }
  return client;
}

bool passes_with_rebalance(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS ||
         code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
         code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
         code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR || code == RD_KAFKA_RESP_ERR__WAIT_COORD ||
         code == RD_KAFKA_RESP_ERR__TRANSPORT;
}

}  // namespace

struct GroupHold::State {
  State(Config c, std::string g, Clock& k)
      : config(std::move(c)), group(std::move(g)), clock(k), admin(config, k) {}
  ~State() { leave(); }

  Config config;
  std::string group;
  Clock& clock;
  Admin admin;
  Client client;
  std::atomic<bool> leaving = false;
  std::thread poller;

  void start(const std::vector<std::string>& topics) {
    client = join(config, group, topics);
    poller = start_thread("holding group " + group, [this] {
      while (!leaving) {
        auto* message = rd_kafka_consumer_poll(client.get(), kPollMs);
        if (message == nullptr) continue;
        if (message->err != 0) {
          spdlog::debug("kafka: group hold: {}", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
      }
    });
  }

  void leave() {
    if (!client) return;
    leaving = true;
    if (poller.joinable()) poller.join();
    rd_kafka_consumer_close(client.get());  // sends LeaveGroup
    client.reset();
  }

  std::vector<GroupMember> others(const GroupDescription& description) const {
    const auto own = client ? member_id(client.get()) : std::string();
    auto members = description.members;
    std::erase_if(members, [&](const auto& m) { return !own.empty() && m.member_id == own; });
    return members;
  }

  bool stands(const GroupDescription& description) const {
    return client && description.state == GroupState::stable && description.members.size() == 1 &&
           others(description).empty();
  }

  [[noreturn]] void refuse(const std::vector<GroupMember>& members, Code code) const {
    std::string names;
    for (const auto& m : members) names += (names.empty() ? "" : ", ") + to_string(m);
    throw Error(code, "group " + group, "it has members: " + names,
                "stop these consumers, or let them be taken out of the group");
  }

  // One look at the group. True: the hold stands.
  bool advance(const std::vector<std::string>& topics, EvictOthers evict) {
    const auto now = admin.describe(group);
    if (stands(now)) return true;
    const auto strangers = others(now);
    // Between its JoinGroup and the answer to it, the own member looks like a stranger: it is known
    // by its client id.
    const auto is_own = [&](const auto& m) {
      return client != nullptr && m.client_id == config.client_id + "-hold";
    };
    for (const auto& member : strangers) {
      if (is_own(member) && member_id(client.get()).empty()) continue;
      if (evict == EvictOthers::no) refuse(strangers, Code::refused);
      spdlog::info("kafka: taking {} out of group {}", to_string(member), group);
      admin.evict(group, member.member_id);
    }
    if (!client) start(topics);
    return false;
  }
};

GroupHold::GroupHold(Config config, std::string group, std::vector<std::string> topics,
                     EvictOthers others, const Cancel& cancel, Deadline deadline, Clock& clock)
    : state_(std::make_unique<State>(std::move(config), std::move(group), clock)) {
  if (topics.empty()) throw Error(Code::usage, "group " + state_->group, "no topic to hold");
  while (!state_->advance(topics, others)) {
    cancel.check();
    if (deadline.passed()) {
      throw Error(Code::timeout, "group " + state_->group, "could not be held in time");
    }
    cancel.sleep_for(std::min(kPause, deadline.left()));
  }
}

GroupHold::~GroupHold() = default;

void GroupHold::commit(const std::map<TopicPartition, Offset>& offsets) {
  if (offsets.empty()) return;
  if (!state_->client) throw Error(Code::refused, "group " + state_->group, "is not held any more");
  const auto end = state_->clock.steady() + state_->config.request_timeout;
  const Cancel never;
  for (;;) {
    const auto list = make_list(offsets);
    const auto code = rd_kafka_commit(state_->client.get(), list.get(), 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      read_list(list.get());  // each one's own error
      return;
    }
    if (!passes_with_rebalance(code) || state_->clock.steady() >= end) {
      throw client_error(code, "group " + state_->group, "committing offsets");
    }
    never.sleep_for(kPause);
  }
}

std::map<TopicPartition, Offset> GroupHold::committed() {
  return state_->admin.committed(state_->group);
}

void GroupHold::check() {
  const auto now = state_->admin.describe(state_->group);
  if (const auto strangers = state_->others(now); !strangers.empty()) {
    state_->refuse(strangers, Code::conflict);
  }
  if (!state_->stands(now)) {
    throw Error(Code::conflict, "group " + state_->group,
                "Lifeboat's member is not in it any more");
  }
}

void GroupHold::leave() {
  state_->leave();
}

}  // namespace lifeboat::kafka
