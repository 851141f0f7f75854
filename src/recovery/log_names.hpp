#pragma once

#include <cstdint>
#include <optional>

#include "kafka/types.hpp"
#include "vault/extent.hpp"

namespace lifeboat::recovery {

// How the logs of the stores are called in the logbook.
//   kafka/<cluster id>/<topic id>/<topic>/<partition>      offsets
//   kafka-groups/<cluster id>                              ms since epoch; a JSON sample at each
//   postgres/<system identifier>/<timeline, 8 hex digits>  bytes of WAL
//   postgres-history/<system identifier>/<timeline>        bytes of the .history file
vault::LogName log_name(const kafka::LogId& log);
// What a partition holds since it was cut back and written anew under a leader of this epoch: a log
// of its own, so that the two histories are never mixed (docs/format.md).
vault::LogName log_name_since(const kafka::LogId& log, kafka::LeaderEpoch epoch);
struct KafkaBranch {
  kafka::LogId log;
  kafka::LeaderEpoch epoch;
};
std::optional<KafkaBranch> parse_kafka_branch(const vault::LogName& name);
std::optional<kafka::LogId> parse_kafka_log(const vault::LogName& name);

vault::LogName groups_log_name(const std::string& cluster_id);

struct WalLog {
  std::uint64_t system_identifier = 0;
  TimelineId timeline;
};
vault::LogName wal_log_name(const WalLog& log);
std::optional<WalLog> parse_wal_log(const vault::LogName& name);
vault::LogName history_log_name(const WalLog& log);
std::optional<WalLog> parse_history_log(const vault::LogName& name);

}  // namespace lifeboat::recovery
