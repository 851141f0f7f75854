#include "kafka/types.hpp"

#include <librdkafka/rdkafka.h>

namespace lifeboat::kafka {

std::string to_string(const TopicPartition& tp) {
  return fmt::format("{}/{}", tp.topic, tp.partition);
}

std::string to_string(const LogId& log) {
  return fmt::format("{}/{} (topic id {})", log.topic, log.partition, log.topic_id);
}

std::string_view to_string(SaslMechanism mechanism) {
  switch (mechanism) {
    case SaslMechanism::plain:
      return "PLAIN";
    case SaslMechanism::scram_sha_256:
      return "SCRAM-SHA-256";
    case SaslMechanism::scram_sha_512:
      break;
  }
  return "SCRAM-SHA-512";
}

std::string protocol_error_name(std::int16_t code) {
  if (code == 100) return "UNKNOWN_TOPIC_ID";  // newer than librdkafka's table
  if (code == 103) return "INCONSISTENT_TOPIC_ID";
  // librdkafka's table has the protocol's numbers; its names miss only the prefix.
  const char* name = rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code));
  if (code == 0 || name == nullptr || std::string_view(name).starts_with("ERR_")) {
    return code == 0 ? "NONE" : fmt::format("error {}", code);
  }
  return name;
}

}  // namespace lifeboat::kafka
