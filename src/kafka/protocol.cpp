#include "kafka/protocol.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "kafka/runs.hpp"

namespace lifeboat::kafka {

namespace {

constexpr std::int32_t kNoEpoch = -1;
constexpr std::int64_t kNoLogStart = -1;  // only followers tell theirs

std::vector<BrokerId> broker_ids(Answer& answer) {
  std::vector<BrokerId> ids;
  for (auto n = answer.compact_size(4); n > 0; --n) ids.emplace_back(answer.be<std::int32_t>());
  return ids;
}

PartitionInfo metadata_partition(Answer& answer) {
  PartitionInfo partition;
  partition.error = answer.be<std::int16_t>();
  partition.id = PartitionId(answer.be<std::int32_t>());
  partition.leader = BrokerId(answer.be<std::int32_t>());
  partition.leader_epoch = LeaderEpoch(answer.be<std::int32_t>());
  partition.replicas = broker_ids(answer);
  partition.isr = broker_ids(answer);
  broker_ids(answer);  // offline replicas
  answer.skip_tags();
  return partition;
}

TopicInfo metadata_topic(Answer& answer) {
  TopicInfo topic;
  topic.error = answer.be<std::int16_t>();
  topic.name = answer.compact_string();
  const auto id = answer.uuid();
  if (id != std::string(16, '\0')) topic.topic_id = print_uuid(id);
  topic.internal = answer.boolean();
  for (auto n = answer.compact_size(18); n > 0; --n) {
    topic.partitions.push_back(metadata_partition(answer));
  }
  std::sort(topic.partitions.begin(), topic.partitions.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  answer.be<std::int32_t>();  // authorized operations
  answer.skip_tags();
  return topic;
}

FetchedPartition fetched_partition(Answer& answer, const std::string& topic_id) {
  FetchedPartition partition;
  partition.topic_id = topic_id;
  partition.partition = PartitionId(answer.be<std::int32_t>());
  partition.error = answer.be<std::int16_t>();
  partition.high_watermark = Offset(answer.be<std::int64_t>());
  answer.be<std::int64_t>();  // last stable offset
  partition.log_start = Offset(answer.be<std::int64_t>());
  for (auto n = answer.compact_size(17); n > 0; --n) {  // aborted transactions: isolation level 1
    answer.take(16);
    answer.skip_tags();
  }
  answer.be<std::int32_t>();  // preferred read replica
  partition.records = answer.compact_bytes();
  answer.tags([&](std::uint64_t tag, std::string_view bytes) {
    if (tag != 0) return;  // DivergingEpoch: epoch, end offset
    if (bytes.size() < 12) answer.corrupt("the diverging epoch is too short");
    const Offset end(load_be<std::int64_t>(bytes.data() + 4));
    if (end < Offset(0)) return;
    partition.diverged_at = end;
    partition.diverged_epoch = LeaderEpoch(load_be<std::int32_t>(bytes.data()));
  });
  return partition;
}

}  // namespace

bool is_retriable(std::int16_t error) {
  constexpr std::int16_t retriable[] = {kUnknownTopicOrPartition,
                                        kLeaderNotAvailable,
                                        kNotLeader,
                                        kRequestTimedOut,
                                        kNetworkException,
                                        kCoordinatorLoading,
                                        kCoordinatorNotAvailable,
                                        kNotCoordinator,
                                        kNotEnoughReplicas,
                                        kStorageError,
                                        kNotEnoughReplicasAfterAppend,
                                        kFencedLeaderEpoch,
                                        kUnknownLeaderEpoch,
                                        kUnknownTopicId,
                                        kInconsistentTopicId};
  return std::find(std::begin(retriable), std::end(retriable), error) != std::end(retriable);
}

Request metadata_request(std::string_view client_id) {
  Request request(Api::metadata, 12, Header::flexible, client_id);
  request.be<std::int8_t>(0);  // null array: all topics
  request.be<std::int8_t>(0);  // make none
  request.be<std::int8_t>(0).no_tags();
  return request;
}

ClusterInfo parse_metadata(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::flexible, from + ", Metadata");
  ClusterInfo info;
  answer.be<std::int32_t>();  // throttle time
  for (auto n = answer.compact_size(11); n > 0; --n) {
    BrokerInfo broker;
    broker.id = BrokerId(answer.be<std::int32_t>());
    broker.host = answer.compact_string();
    broker.port = answer.be<std::int32_t>();
    answer.compact_string();  // rack
    answer.skip_tags();
    info.brokers.push_back(std::move(broker));
  }
  info.cluster_id = answer.compact_string();
  info.controller = BrokerId(answer.be<std::int32_t>());
  for (auto n = answer.compact_size(26); n > 0; --n) info.topics.push_back(metadata_topic(answer));
  std::sort(info.topics.begin(), info.topics.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return info;
}

Request list_offsets_request(std::string_view client_id, Which which,
                             const std::vector<TopicPartition>& partitions) {
  Request request(Api::list_offsets, 4, Header::classic, client_id);
  request.be<std::int32_t>(-1).be<std::int8_t>(0);  // a consumer, read uncommitted
  const auto topic = [](const TopicPartition& p) { return p.topic; };
  request.be(static_cast<std::int32_t>(count_runs(partitions, topic)));
  for_each_run(partitions, topic, [&](auto first, auto last) {
    request.string(first->topic).be(static_cast<std::int32_t>(last - first));
    for (; first != last; ++first) {
      request.be(first->partition.value).be(kNoEpoch).be(static_cast<std::int64_t>(which));
    }
  });
  return request;
}

std::vector<ListedOffset> parse_list_offsets(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", ListOffsets");
  std::vector<ListedOffset> offsets;
  answer.be<std::int32_t>();  // throttle time
  for (auto topics = answer.size(6); topics > 0; --topics) {
    const std::string topic(answer.string());
    for (auto n = answer.size(26); n > 0; --n) {
      ListedOffset one;
      one.partition = {topic, PartitionId(answer.be<std::int32_t>())};
      one.error = answer.be<std::int16_t>();
      answer.be<std::int64_t>();  // timestamp
      one.offset = Offset(answer.be<std::int64_t>());
      answer.be<std::int32_t>();  // leader epoch
      offsets.push_back(std::move(one));
    }
  }
  return offsets;
}

Request sasl_handshake_request(std::string_view client_id, SaslMechanism mechanism) {
  Request request(Api::sasl_handshake, 1, Header::classic, client_id);
  request.string(to_string(mechanism));
  return request;
}

SaslHandshake parse_sasl_handshake(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", SaslHandshake");
  SaslHandshake shaken{answer.be<std::int16_t>(), {}};
  for (auto n = answer.size(2); n > 0; --n) shaken.mechanisms.emplace_back(answer.string());
  return shaken;
}

Request sasl_authenticate_request(std::string_view client_id, std::string_view bytes) {
  Request request(Api::sasl_authenticate, 2, Header::flexible, client_id);
  request.compact_string(bytes).no_tags();
  return request;
}

SaslAnswer parse_sasl_authenticate(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::flexible, from + ", SaslAuthenticate");
  SaslAnswer said{};
  said.error = answer.be<std::int16_t>();
  said.message = answer.compact_string();
  said.bytes = answer.compact_bytes();
  said.lifetime = Millis(answer.be<std::int64_t>());
  return said;
}

Request fetch_request(std::string_view client_id, FetchLimits limits,
                      const std::vector<FetchPartition>& partitions) {
  Request request(Api::fetch, 13, Header::flexible, client_id);
  request.be<std::int32_t>(-1).be(limits.max_wait_ms).be<std::int32_t>(1).be(limits.max_bytes);
  request.be<std::int8_t>(0);                        // read uncommitted
  request.be<std::int32_t>(0).be<std::int32_t>(-1);  // no fetch session
  const auto topic = [](const FetchPartition& p) { return p.topic_id; };
  request.compact_size(count_runs(partitions, topic));
  for_each_run(partitions, topic, [&](auto first, auto last) {
    request.uuid(parse_uuid(first->topic_id).value_or(std::string(16, '\0')));
    request.compact_size(static_cast<std::size_t>(last - first));
    for (; first != last; ++first) {
      request.be(first->partition.value).be(first->current_epoch.value).be(first->offset.value);
      request.be(first->last_epoch.value).be(kNoLogStart).be(first->max_bytes).no_tags();
    }
    request.no_tags();
  });
  request.compact_size(0).compact_string("").no_tags();  // nothing forgotten, no rack
  return request;
}

Fetched parse_fetch(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::flexible, from + ", Fetch");
  Fetched fetched{};
  answer.be<std::int32_t>();  // throttle time
  fetched.error = answer.be<std::int16_t>();
  answer.be<std::int32_t>();  // session id
  for (auto topics = answer.compact_size(18); topics > 0; --topics) {
    const auto topic_id = print_uuid(answer.uuid());
    for (auto n = answer.compact_size(37); n > 0; --n) {
      fetched.partitions.push_back(fetched_partition(answer, topic_id));
    }
    answer.skip_tags();
  }
  return fetched;
}

Request init_producer_id_request(std::string_view client_id) {
  Request request(Api::init_producer_id, 0, Header::classic, client_id);
  request.null_string().be<std::int32_t>(60000);  // no transactions
  return request;
}

ProducerIdAnswer parse_init_producer_id(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", InitProducerId");
  answer.be<std::int32_t>();  // throttle time
  ProducerIdAnswer producer{};
  producer.error = answer.be<std::int16_t>();
  producer.id = answer.be<std::int64_t>();
  producer.epoch = answer.be<std::int16_t>();
  return producer;
}

Request produce_request(std::string_view client_id, Millis timeout,
                        const std::vector<ProducePartition>& partitions) {
  Request request(Api::produce, 8, Header::classic, client_id);
  request.null_string().be<std::int16_t>(-1);  // no transaction, acks of all in-sync replicas
  request.be(static_cast<std::int32_t>(timeout.count()));
  const auto topic = [](const ProducePartition& p) { return p.partition.topic; };
  request.be(static_cast<std::int32_t>(count_runs(partitions, topic)));
  for_each_run(partitions, topic, [&](auto first, auto last) {
    request.string(first->partition.topic).be(static_cast<std::int32_t>(last - first));
    for (; first != last; ++first) {
      request.be(first->partition.partition.value).bytes_in_place(first->header, first->records);
    }
  });
  return request;
}

std::vector<ProducedPartition> parse_produce(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", Produce");
  std::vector<ProducedPartition> produced;
  for (auto topics = answer.size(6); topics > 0; --topics) {
    const std::string topic(answer.string());
    for (auto n = answer.size(36); n > 0; --n) {
      ProducedPartition one;
      one.partition = {topic, PartitionId(answer.be<std::int32_t>())};
      one.error = answer.be<std::int16_t>();
      one.base = Offset(answer.be<std::int64_t>());
      answer.be<std::int64_t>();  // log append time
      answer.be<std::int64_t>();  // log start offset
      for (auto records = answer.size(6); records > 0; --records) {
        answer.be<std::int32_t>();  // index in the batch
        const auto message = answer.string();
        if (one.message.empty()) one.message = message;
      }
      if (const auto message = answer.string(); !message.empty()) one.message = message;
      produced.push_back(std::move(one));
    }
  }
  return produced;
}

}  // namespace lifeboat::kafka
