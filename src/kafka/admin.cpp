#include "kafka/admin.hpp"

#include <algorithm>
#include <functional>
#include <thread>

#include "base/cancel.hpp"
#include "kafka/client.hpp"
#include "kafka/cluster.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kPause{50};
constexpr Millis kFirstAttempt{2000};

// What the coordinator or the controller says while it is being found or is starting.
bool may_heal(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
      return true;
    default:
      return false;
  }
}

GroupState state_of(rd_kafka_consumer_group_state_t state) {
  switch (state) {
    case RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY:
      return GroupState::empty;
    case RD_KAFKA_CONSUMER_GROUP_STATE_STABLE:
      return GroupState::stable;
    case RD_KAFKA_CONSUMER_GROUP_STATE_DEAD:
      return GroupState::dead;
    case RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE:
    case RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE:
      return GroupState::rebalancing;
    default:
      return GroupState::unknown;
  }
}

GroupMember member_of(const rd_kafka_MemberDescription_t* described) {
  GroupMember member;
  member.member_id = rd_kafka_MemberDescription_consumer_id(described);
  member.client_id = rd_kafka_MemberDescription_client_id(described);
  member.host = rd_kafka_MemberDescription_host(described);
  const auto* assignment = rd_kafka_MemberDescription_assignment(described);
  const auto* list =
      assignment == nullptr ? nullptr : rd_kafka_MemberAssignment_partitions(assignment);
  for (int i = 0; list != nullptr && i < list->cnt; ++i) {
    member.assignment.push_back({list->elems[i].topic, PartitionId(list->elems[i].partition)});
  }
  return member;
}

struct DestroyTopicConfig {
  void operator()(rd_kafka_ConfigResource_t* r) const { rd_kafka_ConfigResource_destroy(r); }
};
using TopicConfig = std::unique_ptr<rd_kafka_ConfigResource_t, DestroyTopicConfig>;
TopicConfig topic_config(const std::string& topic) {
  return TopicConfig(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
}

// The only result of a call that named one thing.
template <typename Result>
const Result* only(const Result** results, std::size_t n, const std::string& subject) {
  if (n != 1) throw Error(Code::failed, subject, "one thing was asked, not one is answered");
  return results[0];
}

struct Answer {
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string message;
  bool again = false;  // the same call may succeed a little later
};

}  // namespace

std::string_view to_string(GroupState state) {
  switch (state) {
    case GroupState::empty:
      return "empty";
    case GroupState::stable:
      return "stable";
    case GroupState::rebalancing:
      return "rebalancing";
    case GroupState::dead:
      return "dead";
    case GroupState::unknown:
      break;
  }
  return "unknown";
}

std::string to_string(const GroupMember& member) {
  return fmt::format("{} ({}, member {})", member.client_id, member.host, member.member_id);
}

struct Admin::State {
  State(Config c, Clock& k)
      : config(std::move(c)),
        clock(k),
        client(make_client(RD_KAFKA_PRODUCER, client_conf(config, {}))),
        cluster(config, k) {}

  Config config;
  Clock& clock;
  Client client;
  Cluster cluster;

  using Call = std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>;
  using Read = std::function<Answer(rd_kafka_event_t*)>;

  Answer once(rd_kafka_admin_op_t op, Millis most, const Call& call, const Read& read) {
    AdminOptions options(rd_kafka_AdminOptions_new(client.get(), op));
    char why[256];
    const auto timeout = static_cast<int>(most.count());
    rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout, why, sizeof why);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS) {
      rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout, why, sizeof why);
    }
    Queue queue(rd_kafka_queue_new(client.get()));
    call(options.get(), queue.get());
    Event event(rd_kafka_queue_poll(queue.get(), timeout + 1000));
    if (!event) return {RD_KAFKA_RESP_ERR__TIMED_OUT, {}};
    if (const auto code = rd_kafka_event_error(event.get()); code != 0) {
      return {code, rd_kafka_event_error_string(event.get())};
    }
    return read(event.get());
  }

  // Again and again while the cluster says that it is not ready.
  void run(rd_kafka_admin_op_t op, const std::string& subject, const std::string& doing,
           const Call& call, const Read& read) {
    const auto end = clock.steady() + config.request_timeout;
    const Cancel never;
    // librdkafka may wait in vain for a coordinator that was not there when it first asked: short
    // attempts, each twice as long. Making and deleting topics twice would change the answer.
    const bool short_attempts =
        op != RD_KAFKA_ADMIN_OP_CREATETOPICS && op != RD_KAFKA_ADMIN_OP_DELETETOPICS;
    for (Millis most = kFirstAttempt;; most *= 2) {
      const auto left = std::chrono::ceil<Millis>(end - clock.steady());
      const auto limit = std::max(kPause, short_attempts ? std::min(most, left) : left);
      const auto answer = once(op, limit, call, read);
      if (answer.code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      const bool heals = answer.again || may_heal(answer.code) ||
                         (short_attempts && answer.code == RD_KAFKA_RESP_ERR__TIMED_OUT);
      if (!heals || clock.steady() >= end) {
        say_why_not_let_in();
        throw client_error(answer.code, subject, doing, answer.message.c_str());
      }
      never.sleep_for(kPause);
    }
  }

  // librdkafka tells a wrong password or certificate only as a time that passed: our own connection
  // says what it is.
  void say_why_not_let_in() {
    if (!config.tls && !config.sasl) return;
    try {
      Cluster(config, clock).metadata();
    } catch (Error& error) {
      if (error.code() == Code::denied || error.code() == Code::config) throw;
    }
  }

  // Until the metadata is as `done` wants it.
  void wait_for_metadata(const std::string& topic, const std::string& what,
                         const std::function<bool(const TopicInfo*)>& done) {
    const auto end = clock.steady() + config.request_timeout;
    const Cancel never;
    for (;;) {
      if (done(cluster.metadata().topic(topic))) return;
      if (clock.steady() >= end) throw Error(Code::timeout, topic, what);
      never.sleep_for(kPause);
    }
  }
};

Admin::Admin(Config config, Clock& clock)
    : state_(std::make_unique<State>(std::move(config), clock)) {}
Admin::~Admin() = default;

namespace {

Answer group_answer(const rd_kafka_group_result_t* result) {
  const auto* error = rd_kafka_group_result_error(result);
  if (error == nullptr) return {};
  return {rd_kafka_error_code(error), rd_kafka_error_string(error)};
}

[[noreturn]] void refuse_members(const std::string& group, const GroupDescription& description,
                                 const std::string& what) {
  std::string names;
  for (const auto& member : description.members) {
    names += (names.empty() ? "" : ", ") + to_string(member);
  }
  throw Error(Code::refused, "group " + group, what + " while it has members: " + names,
              "stop these consumers first");
}

}  // namespace

std::vector<std::string> Admin::list_groups() {
  std::vector<std::string> groups;
  state_->run(
      RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, "kafka", "listing groups",
      [&](auto* options, auto* queue) {
        rd_kafka_ListConsumerGroups(state_->client.get(), options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        const auto* result = rd_kafka_event_ListConsumerGroups_result(event);
        std::size_t n = 0;
        const auto** errors = rd_kafka_ListConsumerGroups_result_errors(result, &n);
        if (n > 0) return {rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]), false};
        groups.clear();
        const auto** valid = rd_kafka_ListConsumerGroups_result_valid(result, &n);
        for (std::size_t i = 0; i < n; ++i) {
          groups.emplace_back(rd_kafka_ConsumerGroupListing_group_id(valid[i]));
        }
        return {};
      });
  return groups;
}

GroupDescription Admin::describe(const std::string& group) {
  GroupDescription description;
  const char* names[] = {group.c_str()};
  state_->run(
      RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, "group " + group, "describing it",
      [&](auto* options, auto* queue) {
        rd_kafka_DescribeConsumerGroups(state_->client.get(), names, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** groups = rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &n);
        const auto* described = only(groups, n, group);
        if (const auto* error = rd_kafka_ConsumerGroupDescription_error(described)) {
          return {rd_kafka_error_code(error), rd_kafka_error_string(error)};
        }
        description = {};
        description.state = state_of(rd_kafka_ConsumerGroupDescription_state(described));
        if (const char* strategy =
                rd_kafka_ConsumerGroupDescription_partition_assignor(described)) {
          description.strategy = strategy;
        }
        const auto members = rd_kafka_ConsumerGroupDescription_member_count(described);
        for (std::size_t i = 0; i < members; ++i) {
          description.members.push_back(
              member_of(rd_kafka_ConsumerGroupDescription_member(described, i)));
        }
        return {};
      });
  return description;
}

std::map<TopicPartition, Offset> Admin::committed(const std::string& group) {
  std::map<TopicPartition, Offset> offsets;
  rd_kafka_ListConsumerGroupOffsets_t* asked[] = {
      rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), nullptr)};
  const std::shared_ptr<void> owner(asked[0], [](void* p) {
    rd_kafka_ListConsumerGroupOffsets_destroy(static_cast<rd_kafka_ListConsumerGroupOffsets_t*>(p));
  });
  state_->run(
      RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, "group " + group, "reading its offsets",
      [&](auto* options, auto* queue) {
        rd_kafka_ListConsumerGroupOffsets(state_->client.get(), asked, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &n);
        const auto* result = only(groups, n, group);
        const auto answer = group_answer(result);
        if (answer.code == 0) offsets = read_list(rd_kafka_group_result_partitions(result));
        return answer;
      });
  return offsets;
}

void Admin::alter_offsets(const std::string& group,
                          const std::map<TopicPartition, Offset>& offsets) {
  if (offsets.empty()) return;
  const std::string doing = "its offsets cannot be changed";
  if (const auto now = describe(group); !now.members.empty()) refuse_members(group, now, doing);
  const auto list = make_list(offsets);
  rd_kafka_AlterConsumerGroupOffsets_t* asked[] = {
      rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get())};
  const std::shared_ptr<void> owner(asked[0], [](void* p) {
    rd_kafka_AlterConsumerGroupOffsets_destroy(
        static_cast<rd_kafka_AlterConsumerGroupOffsets_t*>(p));
  });
  try {
    state_->run(
        RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, "group " + group, "changing its offsets",
        [&](auto* options, auto* queue) {
          rd_kafka_AlterConsumerGroupOffsets(state_->client.get(), asked, 1, options, queue);
        },
        [&](rd_kafka_event_t* event) -> Answer {
          std::size_t n = 0;
          const auto** groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
              rd_kafka_event_AlterConsumerGroupOffsets_result(event), &n);
          const auto* result = only(groups, n, group);
          const auto answer = group_answer(result);
          if (answer.code == 0) read_list(rd_kafka_group_result_partitions(result));
          return answer;
        });
  } catch (Error&) {  // somebody may have joined in between: then say so
    if (const auto now = describe(group); !now.members.empty()) refuse_members(group, now, doing);
    throw;
  }
}

bool Admin::evict(const std::string& group, const std::string& member_id) {
  return state_->cluster.evict(group, member_id);
}

bool Admin::delete_group(const std::string& group) {
  rd_kafka_DeleteGroup_t* asked[] = {rd_kafka_DeleteGroup_new(group.c_str())};
  const std::shared_ptr<void> owner(asked[0], [](void* p) {
    rd_kafka_DeleteGroup_destroy(static_cast<rd_kafka_DeleteGroup_t*>(p));
  });
  bool was_there = true;
  bool has_members = false;
  state_->run(
      RD_KAFKA_ADMIN_OP_DELETEGROUPS, "group " + group, "deleting it",
      [&](auto* options, auto* queue) {
        rd_kafka_DeleteGroups(state_->client.get(), asked, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** groups =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &n);
        const auto answer = group_answer(only(groups, n, group));
        was_there = answer.code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
        has_members = answer.code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP;
        return was_there && !has_members ? answer : Answer{};
      });
  if (has_members) refuse_members(group, describe(group), "it cannot be deleted");
  return was_there;
}

std::map<std::string, std::string> Admin::topic_configs(const std::string& topic) {
  std::map<std::string, std::string> configs;
  const auto resource = topic_config(topic);
  rd_kafka_ConfigResource_t* asked[] = {resource.get()};
  state_->run(
      RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, "topic " + topic, "reading its configuration",
      [&](auto* options, auto* queue) {
        rd_kafka_DescribeConfigs(state_->client.get(), asked, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &n);
        const auto* result = only(resources, n, topic);
        if (const auto code = rd_kafka_ConfigResource_error(result); code != 0) {
          const char* message = rd_kafka_ConfigResource_error_string(result);
          return {code, message == nullptr ? "" : message};
        }
        configs.clear();
        const auto** entries = rd_kafka_ConfigResource_configs(result, &n);
        for (std::size_t i = 0; i < n; ++i) {
          const char* value = rd_kafka_ConfigEntry_value(entries[i]);
          if (rd_kafka_ConfigEntry_source(entries[i]) ==
                  RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG &&
              value != nullptr) {
            configs[rd_kafka_ConfigEntry_name(entries[i])] = value;
          }
        }
        return {};
      });
  return configs;
}

namespace {

Answer topic_answer(const rd_kafka_topic_result_t* result) {
  const char* message = rd_kafka_topic_result_error_string(result);
  return {rd_kafka_topic_result_error(result), message == nullptr ? "" : message};
}

}  // namespace

void Admin::create_topic(const std::string& topic, int partitions, int replication,
                         const std::map<std::string, std::string>& configs) {
  char why[256];
  const std::unique_ptr<rd_kafka_NewTopic_t, void (*)(rd_kafka_NewTopic_t*)> fresh(
      rd_kafka_NewTopic_new(topic.c_str(), partitions, replication, why, sizeof why),
      rd_kafka_NewTopic_destroy);
  if (!fresh) throw Error(Code::usage, "topic " + topic, why);
  for (const auto& [key, value] : configs) {
    rd_kafka_NewTopic_set_config(fresh.get(), key.c_str(), value.c_str());
  }
  rd_kafka_NewTopic_t* asked[] = {fresh.get()};
  state_->run(
      RD_KAFKA_ADMIN_OP_CREATETOPICS, "topic " + topic, "making it",
      [&](auto* options, auto* queue) {
        rd_kafka_CreateTopics(state_->client.get(), asked, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** topics =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
        auto answer = topic_answer(only(topics, n, topic));
        // The name of a topic that is just being deleted is not free yet.
        answer.again = answer.code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS &&
                       state_->cluster.metadata().topic(topic) == nullptr;
        return answer;
      });
  state_->wait_for_metadata(
      topic, "it was made, but has no leaders yet", [&](const TopicInfo* info) {
        if (info == nullptr || info->partitions.size() != static_cast<std::size_t>(partitions)) {
          return false;
        }
        for (const auto& partition : info->partitions) {
          if (partition.error != 0 || partition.leader < BrokerId(0)) return false;
        }
        return true;
      });
}

bool Admin::delete_topic(const std::string& topic) {
  const std::unique_ptr<rd_kafka_DeleteTopic_t, void (*)(rd_kafka_DeleteTopic_t*)> old(
      rd_kafka_DeleteTopic_new(topic.c_str()), rd_kafka_DeleteTopic_destroy);
  rd_kafka_DeleteTopic_t* asked[] = {old.get()};
  bool was_there = true;
  state_->run(
      RD_KAFKA_ADMIN_OP_DELETETOPICS, "topic " + topic, "deleting it",
      [&](auto* options, auto* queue) {
        rd_kafka_DeleteTopics(state_->client.get(), asked, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** topics =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
        const auto answer = topic_answer(only(topics, n, topic));
        was_there = answer.code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        return was_there ? answer : Answer{};
      });
  state_->wait_for_metadata(topic, "it was deleted, but is still there",
                            [](const TopicInfo* info) { return info == nullptr; });
  return was_there;
}

void Admin::set_topic_configs(const std::string& topic,
                              const std::map<std::string, std::string>& configs) {
  const auto resource = topic_config(topic);
  for (const auto& [key, value] : configs) {
    rd_kafka_ConfigResource_set_config(resource.get(), key.c_str(), value.c_str());
  }
  rd_kafka_ConfigResource_t* asked[] = {resource.get()};
  state_->run(
      RD_KAFKA_ADMIN_OP_ALTERCONFIGS, "topic " + topic, "changing its configuration",
      [&](auto* options, auto* queue) {
        rd_kafka_AlterConfigs(state_->client.get(), asked, 1, options, queue);
      },
      [&](rd_kafka_event_t* event) -> Answer {
        std::size_t n = 0;
        const auto** resources =
            rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &n);
        const auto* result = only(resources, n, topic);
        const char* message = rd_kafka_ConfigResource_error_string(result);
        return {rd_kafka_ConfigResource_error(result), message == nullptr ? "" : message};
      });
}

}  // namespace lifeboat::kafka
