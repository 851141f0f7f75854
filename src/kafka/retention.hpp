#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

// When brokers delete the old records of a topic; nullopt: never for that reason.
struct Retention {
  std::optional<Millis> time;      // retention.ms
  std::optional<ByteCount> bytes;  // retention.bytes, of each partition
};

// As it is in force, the brokers' defaults included. cleanup.policy without `delete` keeps all.
// A topic that is not there (any more) is left out. Errors as Admin's.
std::map<std::string, Retention> retention_of(const Config& config,
                                              const std::vector<std::string>& topics);

// The time of the oldest record in the batch that holds each offset, by raw Fetch from the leaders.
// Left out: partitions without a leader, and offsets that the log does not hold. Errors as
// Cluster's.
std::map<LogId, Timestamp> times_of(const Config& config, const std::map<LogId, Offset>& offsets,
                                    Clock& clock, const Cancel& cancel);

}  // namespace lifeboat::kafka
