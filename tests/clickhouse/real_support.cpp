#include "real_support.hpp"

#include <unistd.h>

#include <stdexcept>

namespace lifeboat::clickhouse {
namespace {

rd_kafka_t* handle(rd_kafka_type_t type, rd_kafka_conf_t* conf, const std::string& bootstrap) {
  char error[512];
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), error, sizeof error);
  rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
  rd_kafka_t* kafka = rd_kafka_new(type, conf, error, sizeof error);
  if (kafka == nullptr) throw std::runtime_error(error);
  return kafka;
}

}  // namespace

void KafkaSide::create_topic(const std::string& topic, int partitions) {
  char error[512] = "";
  rd_kafka_t* kafka = handle(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), bootstrap_);
  rd_kafka_NewTopic_t* wanted =
      rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, error, sizeof error);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(kafka);
  rd_kafka_CreateTopics(kafka, &wanted, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 60000);
  bool created = false;
  if (event != nullptr) {
    std::size_t count = 0;
    const auto* results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    created = count == 1 && rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(wanted);
  rd_kafka_destroy(kafka);
  if (!created) throw std::runtime_error("topic " + topic + " was not created");
}

Cursors KafkaSide::committed(const std::string& group, const std::string& topic, int partitions) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "group.id", group.c_str(), error, sizeof error);
  rd_kafka_t* kafka = handle(RD_KAFKA_CONSUMER, conf, bootstrap_);
  auto* list = rd_kafka_topic_partition_list_new(partitions);
  for (int p = 0; p < partitions; ++p) {
    rd_kafka_topic_partition_list_add(list, topic.c_str(), p);
  }
  const auto failure = rd_kafka_committed(kafka, list, 60000);
  Cursors cursors;
  for (int i = 0; i < list->cnt; ++i) {
    if (list->elems[i].offset >= 0) {
      cursors[{topic, PartitionId(list->elems[i].partition)}] = Offset(list->elems[i].offset);
    }
  }
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_destroy(kafka);
  if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(failure));
  return cursors;
}

Load::Load(const std::string& bootstrap, const std::string& topic, int partitions, int per_second) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_dr_msg_cb(conf, &Load::delivered);
  rd_kafka_conf_set_opaque(conf, this);
  producer_ = handle(RD_KAFKA_PRODUCER, conf, bootstrap);
  thread_ = std::thread([=, this] { run(topic, partitions, per_second); });
}

void Load::delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* load) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) ++static_cast<Load*>(load)->acknowledged_;
}

void Load::run(const std::string& topic, int partitions, int per_second) {
  std::int64_t id = 0;
  while (!stop_) {
    for (int i = 0; i < per_second / 50; ++i, ++id) {
      const std::string text = "{\"id\": " + std::to_string(id) + "}";
      rd_kafka_producev(producer_, RD_KAFKA_V_TOPIC(topic.c_str()),
                        RD_KAFKA_V_PARTITION(static_cast<std::int32_t>(id % partitions)),
                        RD_KAFKA_V_VALUE(const_cast<char*>(text.data()), text.size()),
                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    }
    rd_kafka_poll(producer_, 20);
    std::this_thread::sleep_for(Millis(20));
  }
  rd_kafka_flush(producer_, 30000);
}

void Load::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  if (producer_ != nullptr) {
    rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(producer_);
    producer_ = nullptr;
  }
}

Config server_config(test::StackProcess& stack) {
  Config config;
  config.url = stack.info().at("clickhouse").at("url");
  return config;
}

BackupPlace backup_place(test::StackProcess& stack) {
  const auto info = stack.info().at("clickhouse");
  return {info.at("backup_disk").get<std::string>(), info.at("backup_path").get<std::string>()};
}

Pipeline create_pipeline(Client& client, KafkaSide& kafka, const std::string& name,
                         double seconds_per_block) {
  static std::atomic<int> next = 0;
  Pipeline p{name, fmt::format("{}_topic_{}", name, next++),
             fmt::format("{}_group_{}", name, next)};
  kafka.create_topic(p.topic, p.partitions);
  client.execute("CREATE DATABASE " + name);
  client.execute("CREATE TABLE " + name +
                 ".e (id UInt64, _partition UInt64, _offset UInt64) "
                 "ENGINE = MergeTree ORDER BY id");
  client.execute("CREATE TABLE " + name +
                 ".s (b UInt8, n UInt64, ids UInt64) "
                 "ENGINE = SummingMergeTree ORDER BY b");
  client.execute("CREATE TABLE " + name +
                 ".slow (b UInt8, n UInt64) "
                 "ENGINE = SummingMergeTree ORDER BY b");
  // The Kafka table is the first that consumes, so it comes last but for the views on it.
  client.execute("CREATE MATERIALIZED VIEW " + name + ".s_mv TO " + name +
                 ".s AS SELECT "
                 "toUInt8(id % 7) AS b, count() AS n, sum(id) AS ids FROM " +
                 name + ".e GROUP BY b");
  client.execute("CREATE MATERIALIZED VIEW " + name +
                 ".inner_mv ENGINE = SummingMergeTree ORDER "
                 "BY b AS SELECT toUInt8(id % 5) AS b, count() AS n FROM " +
                 name + ".e GROUP BY b");
  client.execute("CREATE TABLE " + name +
                 ".k (id UInt64) ENGINE = Kafka SETTINGS "
                 "kafka_broker_list = '" +
                 kafka.bootstrap() + "', kafka_topic_list = '" + p.topic +
                 "', kafka_group_name = '" + p.group +
                 "', kafka_format = 'JSONEachRow', kafka_flush_interval_ms = 300");
  client.execute("CREATE MATERIALIZED VIEW " + name + ".slow_mv TO " + name +
                 ".slow AS SELECT "
                 "toUInt8(id % 3) AS b, count() AS n FROM " +
                 name + ".k WHERE sleep(" + std::to_string(seconds_per_block) + ") = 0 GROUP BY b");
  client.execute("CREATE MATERIALIZED VIEW " + name + ".e_mv TO " + name +
                 ".e AS SELECT id, _partition, _offset FROM " + name + ".k");
  return p;
}

std::string differs_from_cut(Client& client, const std::string& database, const Cursors& cut) {
  std::string wrong;
  std::uint64_t total = 0;
  Cursors found;
  for (const auto& row : client.rows("SELECT _partition AS p, max(_offset) + 1 AS next, count() "
                                     "AS n, uniqExact(_offset) AS u FROM " +
                                     database + ".e GROUP BY p")) {
    const PartitionId partition(row.at("p").get<std::int32_t>());
    const auto next = row.at("next").get<std::int64_t>();
    total += row.at("n").get<std::uint64_t>();
    if (row.at("n") != next || row.at("u") != next) wrong += "rows " + row.dump() + "; ";
    found[{cut.begin()->first.topic, partition}] = Offset(next);
  }
  if (found != cut) {
    wrong += "cut";
    for (const auto& [partition, offset] : cut) wrong += fmt::format(" {}", offset);
    wrong += " rows";
    for (const auto& [partition, offset] : found) wrong += fmt::format(" {}", offset);
  }
  for (const char* sums : {"s", "inner_mv", "slow"}) {
    const auto n = client.row("SELECT sum(n) AS n FROM " + database + "." + sums).at("n");
    if (n != total) wrong += fmt::format("; {} sums {} of {}", sums, n.dump(), total);
  }
  const auto ids = client.row("SELECT (SELECT sum(id) FROM " + database +
                              ".e) = (SELECT sum(ids) FROM " + database + ".s) AS same");
  if (total > 0 && ids.at("same") != 1) wrong += "; sums of ids differ";
  return wrong;
}

std::uint64_t count_rows(Client& client, const TableRef& table) {
  return client.row("SELECT count() AS n FROM " + table.quoted()).at("n");
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = Deadline::after(Millis(120000));
  while (!holds()) {
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(Millis(50));
  }
  return true;
}

std::string fresh_name() {
  static std::atomic<int> next = 0;
  return fmt::format("{}test-{}-{}", kBackupPrefix, ::getpid(), next++);
}

}  // namespace lifeboat::clickhouse
