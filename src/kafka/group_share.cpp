#include "kafka/group_share.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "kafka/client.hpp"
#include "kafka/cluster.hpp"

namespace lifeboat::kafka {

namespace {

constexpr int kPollMs = 50;

std::vector<TopicPartition> partitions_of(const rd_kafka_topic_partition_list_t* list) {
  std::vector<TopicPartition> all;
  for (int i = 0; i < list->cnt; ++i) {
    all.push_back({list->elems[i].topic, PartitionId(list->elems[i].partition)});
  }
  return all;
}

struct DestroyMessage {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};
using Message = std::unique_ptr<rd_kafka_message_t, DestroyMessage>;

}  // namespace

struct GroupShare::State {
  State(Config c, GroupShareOptions o, Told g, Told l, Clock& k)
      : config(std::move(c)),
        options(std::move(o)),
        gaining(std::move(g)),
        losing(std::move(l)),
        clock(k),
        begun(k.steady()) {}

  Config config;
  GroupShareOptions options;
  Told gaining;
  Told losing;
  Clock& clock;
  const std::chrono::steady_clock::time_point begun;

  // Of run()'s thread.
  Client client;
  std::vector<std::string> subscribed;
  std::chrono::steady_clock::time_point looked{};
  std::exception_ptr failure;  // of a callback: librdkafka is C, nothing may be thrown through it
  bool leaving = false;

  mutable std::mutex mutex;  // guards what follows
  std::set<TopicPartition> share;
  std::uint64_t version = 0;
  bool member = false;
  bool alone = false;
  std::string trouble;  // the last one heard

  std::string instance_id() const {
    const auto read = read_file(options.instance_file, ByteCount(256));
    if (read && !read->empty()) return *read;
    Random random;
    const auto id = "lifeboat-" + random.hex(16);
    write_file_durably(options.instance_file, id);
    return id;
  }

  void join() {
    const auto session = options.session.count();
    auto conf = client_conf(
        config,
        {{"group.id", options.group},
         {"group.instance.id", instance_id()},
         {"client.id", config.client_id + "-archiver"},
         {"partition.assignment.strategy", "cooperative-sticky"},
         {"session.timeout.ms", std::to_string(session)},
         {"heartbeat.interval.ms", std::to_string(session / 10)},
         {"topic.metadata.refresh.interval.ms", std::to_string(options.refresh.count())},
         {"enable.auto.commit", "false"},
         {"enable.auto.offset.store", "false"},
         // What it is assigned is paused: the bytes come by our own Fetch.
         {"queued.max.messages.kbytes", "1024"},
         {"fetch.message.max.bytes", "65536"}},
        this);
    rd_kafka_conf_set_rebalance_cb(conf.get(), [](auto* c, auto code, auto* list, void* self) {
      static_cast<State*>(self)->on_rebalance(c, code, list);
    });
    client = make_client(RD_KAFKA_CONSUMER, std::move(conf));
    rd_kafka_poll_set_consumer(client.get());
    subscribed.clear();
    looked = {};
  }

  void leave() {
    if (!client) return;
    leaving = true;
    rd_kafka_consumer_close(client.get());
    client.reset();
    leaving = false;
  }

  void on_rebalance(rd_kafka_t* from, rd_kafka_resp_err_t code,
                    rd_kafka_topic_partition_list_t* list) {
    const bool assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    try {
      if (assign) {
        gain(partitions_of(list));
      } else if (rd_kafka_assignment_lost(from) != 0) {
        lose_touch();
      } else if (!leaving) {
        lose(partitions_of(list));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    auto* error = assign ? rd_kafka_incremental_assign(from, list)
                         : rd_kafka_incremental_unassign(from, list);
    if (assign) rd_kafka_pause_partitions(from, list);
    if (error == nullptr) return;
    note(rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  }

  void gain(const std::vector<TopicPartition>& partitions) {
    gaining(partitions);
    std::lock_guard lock(mutex);
    if (!member) share.clear();  // kept from an earlier membership: what counts is the new one
    member = true;
    alone = false;
    trouble.clear();
    share.insert(partitions.begin(), partitions.end());
    ++version;
    spdlog::info("kafka: group {}: archiving {} partitions ({} new)", options.group, share.size(),
                 partitions.size());
  }

  void lose(const std::vector<TopicPartition>& partitions) {
    {
      std::lock_guard lock(mutex);
      for (const auto& tp : partitions) share.erase(tp);
      ++version;
      spdlog::info("kafka: group {}: archiving {} partitions ({} given up)", options.group,
                   share.size(), partitions.size());
    }
    losing(partitions);
  }

  void lose_touch() {
    std::lock_guard lock(mutex);
    member = false;
    if (trouble.empty()) trouble = "the coordinator has not heard of this member for too long";
    spdlog::warn("kafka: group {}: membership lost ({}); archiving the same {} partitions on",
                 options.group, trouble, share.size());
  }

  void note(std::string what) {
    std::lock_guard lock(mutex);
    trouble = std::move(what);
    spdlog::debug("kafka: group {}: {}", options.group, trouble);
  }

  // Subscribes to the topics that are there: librdkafka's own patterns know no exclusion.
  void look_for_topics(Cluster& cluster) {
    const auto now = clock.steady();
    if (looked != std::chrono::steady_clock::time_point{} && now - looked < options.refresh) return;
    std::vector<std::string> topics;
    try {
      for (const auto& topic : cluster.metadata().topics) {
        const bool there = topic.error == 0 && !topic.partitions.empty();
        if (there && is_chosen(topic, options.include, options.exclude))
          topics.push_back(topic.name);
      }
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) return;  // run() sees to it
      if (error.code() != Code::unavailable && error.code() != Code::timeout) throw;
      looked = clock.steady();
      return note(error.what());
    }
    looked = clock.steady();
    if (topics == subscribed || topics.empty()) return;
    std::map<TopicPartition, Offset> wanted;
    for (const auto& topic : topics)
      wanted[{topic, PartitionId(RD_KAFKA_PARTITION_UA)}] = Offset(0);
    const auto code = rd_kafka_subscribe(client.get(), make_list(wanted).get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return note(rd_kafka_err2str(code));
    subscribed = std::move(topics);
  }

  void poll() {
    const Message message(rd_kafka_consumer_poll(client.get(), kPollMs));
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    if (message && message->err != 0) note(rd_kafka_message_errstr(message.get()));
    char why[512];
    const auto fatal = rd_kafka_fatal_error(client.get(), why, sizeof why);
    if (fatal == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    spdlog::error("kafka: group {}: {}; joining anew under another name", options.group, why);
    lose_touch();
    // Somebody else uses our id: a state folder that was copied.
    if (fatal == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
      std::filesystem::remove(options.instance_file);
    }
    leave();
    join();
  }

  void archive_alone_if_not_let_in() {
    std::lock_guard lock(mutex);
    if (alone || member || !share.empty() || clock.steady() - begun < options.alone) return;
    alone = true;
    ++version;
    spdlog::warn("kafka: group {} cannot be joined ({}): archiving all partitions", options.group,
                 trouble);
  }
};

GroupShare::GroupShare(Config config, GroupShareOptions options, Told gaining, Told losing,
                       Clock& clock)
    : state_(std::make_unique<State>(std::move(config), std::move(options), std::move(gaining),
                                     std::move(losing), clock)) {}
GroupShare::~GroupShare() = default;

void GroupShare::run(const Cancel& cancel) {
  auto& s = *state_;
  Cluster cluster(s.config, s.clock, &cancel);
  s.join();
  try {
    while (!cancel.requested()) {
      s.look_for_topics(cluster);
      s.poll();
      s.archive_alone_if_not_let_in();
    }
  } catch (...) {
    s.leave();
    throw;
  }
  s.leave();
}

bool GroupShare::has(const TopicPartition& tp) const {
  std::lock_guard lock(state_->mutex);
  return state_->alone || state_->share.contains(tp);
}

std::uint64_t GroupShare::version() const {
  std::lock_guard lock(state_->mutex);
  return state_->version;
}

GroupShareStatus GroupShare::status() const {
  std::lock_guard lock(state_->mutex);
  GroupShareStatus status{state_->member, state_->share.size(), {}};
  if (status.member) return status;
  status.problem = "not a member of group " + state_->options.group +
                   (state_->trouble.empty() ? " yet" : ": " + state_->trouble);
  return status;
}

}  // namespace lifeboat::kafka
