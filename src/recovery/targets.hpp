#pragma once

#include <string>
#include <vector>

#include "recovery/kafka_document.hpp"
#include "recovery/plan.hpp"
#include "vault/logbook.hpp"

// What a restore would run into, and what it can be expected to bring back.
namespace lifeboat::recovery {

std::vector<Target> look_at_targets(const Context& context, const vault::Vault& vault,
                                    const vault::RecoveryPoint& point,
                                    const std::set<Store>& stores);
Target postgres_target(const Context& context);
Target zookeeper_target(const Context& context);
Target kafka_target(const Context& context, const KafkaDocument& document);
Target clickhouse_target(const Context& context, const std::vector<std::string>& databases);

// Warnings: gaps, bounded cuts, members that would be taken out of a group. Error(refused) when the
// plan cannot work: retention passed the cut, the topics are others, somebody consumes.
std::vector<std::string> foresee(const Context& context, const vault::Vault& vault,
                                 const vault::RecoveryPoint& point, const Plan& plan);

// The point's documents.
KafkaDocument read_kafka_document(const vault::Vault& vault, const vault::RecoveryPoint& point);

// The logs out of which Kafka is made again: per topic the identity that was written last.
struct ChosenTopic {
  SavedTopic topic;                          // topic_id: of the chosen logs
  std::vector<kafka::LogId> logs;            // one a partition that has any
  std::vector<vault::LogSummary> summaries;  // beside `logs`
  bool in_document = true;  // false: made after the point, its configuration is not known
};
std::vector<ChosenTopic> choose_logs(const vault::Logbook& logbook, const KafkaDocument& document);

}  // namespace lifeboat::recovery
