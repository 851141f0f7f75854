#include "kafka/admin.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <thread>

#include "base/cancel.hpp"
#include "kafka/client.hpp"
#include "kafka/cluster.hpp"

namespace lifeboat::kafka {

namespace {

constexpr Millis kPause{50};
constexpr Millis kFirstAttempt{2000};

// What brokers say while the controller is being found or is starting.
bool may_heal(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_CONTROLLER || code == RD_KAFKA_RESP_ERR__TRANSPORT;
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

struct Admin::State {
  State(Config c, Clock& k) : config(std::move(c)), clock(k), cluster(config, k) {}

  Config config;
  Clock& clock;
  Cluster cluster;
  std::once_flag made;
  Client made_client;

  rd_kafka_t* client() {
    std::call_once(made,
                   [&] { made_client = make_client(RD_KAFKA_PRODUCER, client_conf(config, {})); });
    return made_client.get();
  }

  using Call = std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>;
  using Read = std::function<Answer(rd_kafka_event_t*)>;

  Answer once(rd_kafka_admin_op_t op, Millis most, const Call& call, const Read& read) {
    AdminOptions options(rd_kafka_AdminOptions_new(client(), op));
    char why[256];
    const auto timeout = static_cast<int>(most.count());
    rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout, why, sizeof why);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS) {
      rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout, why, sizeof why);
    }
    Queue queue(rd_kafka_queue_new(client()));
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
    : groups_(config, clock), state_(std::make_unique<State>(config, clock)) {}
Admin::~Admin() = default;

std::map<std::string, std::string> Admin::topic_configs(const std::string& topic) {
  std::map<std::string, std::string> configs;
  const auto resource = topic_config(topic);
  rd_kafka_ConfigResource_t* asked[] = {resource.get()};
  state_->run(
      RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, "topic " + topic, "reading its configuration",
      [&](auto* options, auto* queue) {
        rd_kafka_DescribeConfigs(state_->client(), asked, 1, options, queue);
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
        rd_kafka_CreateTopics(state_->client(), asked, 1, options, queue);
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
        rd_kafka_DeleteTopics(state_->client(), asked, 1, options, queue);
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
        rd_kafka_AlterConfigs(state_->client(), asked, 1, options, queue);
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
