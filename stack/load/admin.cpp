#include "admin.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace loadgen {
namespace {

constexpr int kTimeoutMs = 60'000;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Deleter<Free>>;
using Handle = Owned<rd_kafka_t, rd_kafka_destroy>;
using PartitionList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

struct Wanted {
  std::string topic;
  int partitions;
};

std::vector<Wanted> parse(const std::vector<std::string>& topics) {
  std::vector<Wanted> wanted;
  for (const std::string& given : topics) {
    const auto colon = given.rfind(':');
    const int count = colon == std::string::npos ? 0 : std::atoi(given.c_str() + colon + 1);
    if (count <= 0) throw std::runtime_error(fmt::format("'{}' is not NAME:PARTITIONS", given));
    wanted.push_back({given.substr(0, colon), count});
  }
  if (wanted.empty()) throw std::runtime_error("no topics were named");
  return wanted;
}

void check(rd_kafka_resp_err_t error, const std::string& doing) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    throw std::runtime_error(fmt::format("{}: {}", doing, rd_kafka_err2str(error)));
}

Handle connect(rd_kafka_type_t type, const std::vector<std::array<std::string, 2>>& settings) {
  std::array<char, 512> why{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) !=
        RD_KAFKA_CONF_OK)
      throw std::runtime_error(why.data());
  }
  Handle handle(rd_kafka_new(type, conf, why.data(), why.size()));
  if (!handle) throw std::runtime_error(why.data());
  return handle;
}

void check_partitions(rd_kafka_t* handle, const Wanted& wanted) {
  const rd_kafka_metadata_t* metadata = nullptr;
  check(rd_kafka_metadata(handle, 1, nullptr, &metadata, kTimeoutMs), "asking for the topics");
  const Owned<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> owned(metadata);
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const auto& topic = metadata->topics[i];
    if (wanted.topic != topic.topic) continue;
    if (topic.partition_cnt == wanted.partitions) return;
    throw std::runtime_error(fmt::format("topic {} exists with {} partitions, not {}", wanted.topic,
                                         topic.partition_cnt, wanted.partitions));
  }
  throw std::runtime_error(fmt::format("topic {} exists and is not listed", wanted.topic));
}

}  // namespace

void create_topics(const std::string& bootstrap, const std::vector<std::string>& topics) {
  const std::vector<Wanted> wanted = parse(topics);
  const Handle handle = connect(RD_KAFKA_PRODUCER, {{"bootstrap.servers", bootstrap}});
  std::array<char, 512> why{};
  std::vector<rd_kafka_NewTopic_t*> fresh;
  for (const Wanted& topic : wanted)
    fresh.push_back(
        rd_kafka_NewTopic_new(topic.topic.c_str(), topic.partitions, 1, why.data(), why.size()));
  const Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue(rd_kafka_queue_new(handle.get()));
  const Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy> options(
      rd_kafka_AdminOptions_new(handle.get(), RD_KAFKA_ADMIN_OP_CREATETOPICS));
  check(
      rd_kafka_AdminOptions_set_request_timeout(options.get(), kTimeoutMs, why.data(), why.size()),
      "timeout");
  rd_kafka_CreateTopics(handle.get(), fresh.data(), fresh.size(), options.get(), queue.get());
  const Owned<rd_kafka_event_t, rd_kafka_event_destroy> event(
      rd_kafka_queue_poll(queue.get(), kTimeoutMs + 1000));
  rd_kafka_NewTopic_destroy_array(fresh.data(), fresh.size());
  if (!event) throw std::runtime_error("creating topics: no answer");
  check(rd_kafka_event_error(event.get()), "creating topics");
  std::size_t count = 0;
  const auto* results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      check_partitions(handle.get(), wanted[i]);
    else
      check(error, fmt::format("creating topic {}", rd_kafka_topic_result_name(results[i])));
  }
}

std::string group_lag(const std::string& bootstrap, const std::string& group,
                      const std::vector<std::string>& topics) {
  const Handle handle =
      connect(RD_KAFKA_CONSUMER, {{"bootstrap.servers", bootstrap}, {"group.id", group}});
  const std::vector<Wanted> wanted = parse(topics);
  const PartitionList list(rd_kafka_topic_partition_list_new(8));
  for (const Wanted& topic : wanted)
    for (int partition = 0; partition < topic.partitions; ++partition)
      rd_kafka_topic_partition_list_add(list.get(), topic.topic.c_str(), partition);
  check(rd_kafka_committed(handle.get(), list.get(), kTimeoutMs),
        "asking for the committed offsets");
  nlohmann::json partitions = nlohmann::json::array();
  std::int64_t lag = 0;
  for (int i = 0; i < list->cnt; ++i) {
    const auto& at = list->elems[i];
    const std::string name = fmt::format("{}/{}", at.topic, at.partition);
    check(at.err, name);
    std::int64_t begin = 0;
    std::int64_t end = 0;
    check(rd_kafka_query_watermark_offsets(handle.get(), at.topic, at.partition, &begin, &end,
                                           kTimeoutMs),
          name);
    nlohmann::json row = {
        {"topic", at.topic}, {"partition", at.partition}, {"begin", begin}, {"end", end}};
    row["committed"] = at.offset >= 0 ? nlohmann::json(at.offset) : nlohmann::json(nullptr);
    lag += end - (at.offset >= 0 ? at.offset : begin);
    partitions.push_back(std::move(row));
  }
  return nlohmann::json({{"partitions", partitions}, {"lag", lag}}).dump();
}

}  // namespace loadgen
