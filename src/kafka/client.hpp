#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

// librdkafka's things with an owner, and its errors as Error. Part of the room's inside.

struct DestroyClient {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
struct DestroyEvent {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
struct DestroyQueue {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
struct DestroyConf {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
struct DestroyOptions {
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
};
using Client = std::unique_ptr<rd_kafka_t, DestroyClient>;
using Conf = std::unique_ptr<rd_kafka_conf_t, DestroyConf>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;
using Event = std::unique_ptr<rd_kafka_event_t, DestroyEvent>;
using Queue = std::unique_ptr<rd_kafka_queue_t, DestroyQueue>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, DestroyOptions>;

// What every client is configured with; its messages go to Lifeboat's log. `opaque` is handed to
// the callbacks.
Conf client_conf(const Config& config, const std::map<std::string, std::string>& settings,
                 void* opaque = nullptr);
Client make_client(rd_kafka_type_t type, Conf conf);

PartitionList make_list(const std::map<TopicPartition, Offset>& offsets);
// Entries without an offset are left out. Error(failed) when an entry carries an error.
std::map<TopicPartition, Offset> read_list(const rd_kafka_topic_partition_list_t* list);

Error client_error(rd_kafka_resp_err_t code, std::string subject, const std::string& doing,
                   const char* message = nullptr);

}  // namespace lifeboat::kafka
