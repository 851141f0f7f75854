#pragma once

#include <string>
#include <vector>

#include "recovery/kafka_document.hpp"
#include "recovery/plan.hpp"
#include "vault/logbook.hpp"
#include "vault/pruned_logs.hpp"

// What a restore would run into, and what it can be expected to bring back.
namespace lifeboat::recovery {

std::vector<Target> look_at_targets(const Context& context, const vault::Vault& vault,
                                    const vault::RecoveryPoint& point,
                                    const std::set<Store>& stores);
Target postgres_target(const Context& context);
Target zookeeper_target(const Context& context);
Target kafka_target(const Context& context, const KafkaDocument& document);
Target clickhouse_target(const Context& context, const std::vector<std::string>& databases);

struct Foreseen {
  std::vector<std::string> warnings;  // gaps, bounded cuts, what retention took
  bool fill = false;                  // retention passed the cut: the logbook fills the range
  bool point_only = false;            // PostgreSQL can be had as the point has it, not later
};
// Error(refused) when the plan cannot work: what retention took is not in the logbook either (and
// the plan does not accept that), the topics are others, somebody consumes.
Foreseen foresee(const Context& context, const vault::Vault& vault,
                 const vault::RecoveryPoint& point, const Plan& plan);

// What was pruned of the logs that the plan reads, or is decided to be (`decided`, read before the
// logbook was loaded). A sentence each, always the same for the same.
struct ForeseenLogs {
  std::vector<std::string> pruned;
  bool point_only = false;
};
ForeseenLogs foresee_logs(const vault::Vault& vault, const vault::RecoveryPoint& point,
                          const Plan& plan, const vault::PrunedLogs& decided,
                          const vault::Logbook& logbook);
// The logbook as foresee_logs() wants it.
vault::Logbook load_logs(const vault::Vault& vault, const Plan& plan);

// The point's documents.
KafkaDocument read_kafka_document(const vault::Vault& vault, const vault::RecoveryPoint& point);
// With chunks that others read as well.
KafkaDocument read_kafka_document(vault::Chunks& chunks, const vault::Vault& vault,
                                  const vault::RecoveryPoint& point);

// The logs out of which Kafka is made again: per topic the identity that was written last.
struct ChosenTopic {
  SavedTopic topic;                          // topic_id: of the chosen logs
  std::vector<kafka::LogId> logs;            // one a partition that has any
  std::vector<vault::LogSummary> summaries;  // beside `logs`
  bool in_document = true;  // false: made after the point, its configuration is not known
};
std::vector<ChosenTopic> choose_logs(const vault::Logbook& logbook, const KafkaDocument& document);

}  // namespace lifeboat::recovery
