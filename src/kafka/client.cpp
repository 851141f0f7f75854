#include "kafka/client.hpp"

#include "base/log.hpp"

namespace lifeboat::kafka {

namespace {

// A broker that is down says so through the calls that fail; here it would repeat itself.
void on_log(const rd_kafka_t*, int, const char* facility, const char* message) {
  spdlog::debug("librdkafka: {}: {}", facility, message);
}

Code code_of(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
      return Code::unavailable;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return Code::timeout;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return Code::denied;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return Code::not_found;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return Code::conflict;
    default:
      return Code::failed;
  }
}

std::map<std::string, std::string> security(const Config& config) {
  std::map<std::string, std::string> settings;
  settings["security.protocol"] = config.tls ? (config.sasl ? "sasl_ssl" : "ssl")
                                             : (config.sasl ? "sasl_plaintext" : "plaintext");
  if (config.tls) {
    const auto& tls = *config.tls;
    settings["ssl.endpoint.identification.algorithm"] = tls.verify_hostname ? "https" : "none";
    if (!tls.ca.empty()) settings["ssl.ca.location"] = tls.ca;
    if (!tls.cert.empty()) settings["ssl.certificate.location"] = tls.cert;
    if (!tls.key.empty()) settings["ssl.key.location"] = tls.key;
    if (!tls.key_password.empty()) settings["ssl.key.password"] = tls.key_password;
  }
  if (config.sasl) {
    settings["sasl.mechanisms"] = to_string(config.sasl->mechanism);
    settings["sasl.username"] = config.sasl->username;
    settings["sasl.password"] = config.sasl->password;
  }
  return settings;
}

}  // namespace

Conf client_conf(const Config& config, const std::map<std::string, std::string>& settings,
                 void* opaque) {
  Conf conf(rd_kafka_conf_new());
  rd_kafka_conf_set_opaque(conf.get(), opaque);
  const auto set = [&](const std::string& key, const std::string& value) {
    char why[512];
    if (rd_kafka_conf_set(conf.get(), key.c_str(), value.c_str(), why, sizeof why) !=
        RD_KAFKA_CONF_OK) {
      throw Error(Code::config, key, why);
    }
  };
  std::string brokers;
  for (const auto& address : config.bootstrap) brokers += (brokers.empty() ? "" : ",") + address;
  set("bootstrap.servers", brokers);
  set("client.id", config.client_id);
  set("reconnect.backoff.ms", "50");
  set("reconnect.backoff.max.ms", "1000");
  for (const auto& [key, value] : security(config)) set(key, value);
  for (const auto& [key, value] : settings) set(key, value);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  return conf;
}

Client make_client(rd_kafka_type_t type, Conf conf) {
  char why[512];
  Client client(rd_kafka_new(type, conf.get(), why, sizeof why));
  if (!client) throw Error(Code::config, "kafka", why);
  conf.release();  // the client's now
  return client;
}

PartitionList make_list(const std::map<TopicPartition, Offset>& offsets) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& [tp, offset] : offsets) {
    auto* entry =
        rd_kafka_topic_partition_list_add(list.get(), tp.topic.c_str(), tp.partition.value);
    entry->offset = offset.value;
  }
  return list;
}

std::map<TopicPartition, Offset> read_list(const rd_kafka_topic_partition_list_t* list) {
  std::map<TopicPartition, Offset> offsets;
  for (int i = 0; list != nullptr && i < list->cnt; ++i) {
    const auto& entry = list->elems[i];
    const TopicPartition tp{entry.topic, PartitionId(entry.partition)};
    if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      throw client_error(entry.err, to_string(tp), "offset");
    }
    if (entry.offset >= 0) offsets[tp] = Offset(entry.offset);
  }
  return offsets;
}

Error client_error(rd_kafka_resp_err_t code, std::string subject, const std::string& doing,
                   const char* message) {
  const std::string text =
      message != nullptr && *message != '\0' ? message : rd_kafka_err2str(code);
  return Error(code_of(code), std::move(subject), doing + ": " + text);
}

}  // namespace lifeboat::kafka
