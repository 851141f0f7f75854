#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/retention.hpp"
#include "recovery/context.hpp"
#include "vault/logbook.hpp"

// The alarm before a gap: how long until Kafka deletes what is not in the vault yet.
namespace lifeboat::recovery {

// What is known of one partition.
struct RetentionFacts {
  kafka::Retention retention;
  Position next;                           // the first that is not archived
  Position source_start, source_end;       // what the broker holds
  std::optional<Timestamp> oldest;         // of the record at `next`
  std::optional<double> bytes_a_record;    // about
  std::optional<double> records_a_second;  // that come, about
};

struct TimeLeft {
  enum class Kind {
    caught_up,  // all is archived
    unlimited,  // nothing is deleted
    known,
    unknown,  // something is deleted some day, but not known when
    passed,   // it has begun: [next, source_start) is lost
  };
  Kind kind = Kind::unknown;
  double seconds = 0;  // known: at least so long. Brokers delete whole segments, so mostly later
};
// Pure.
TimeLeft time_left(const RetentionFacts& facts, Timestamp now);
std::string to_string(const TimeLeft& left);  // "caught up", "unlimited", "2 h", …
// Whether it is time to worry: passed, or known and shorter than that.
bool alarming(const TimeLeft& left, Millis threshold);

struct PartitionLeft {
  kafka::LogId log;
  RetentionFacts facts;
  TimeLeft left;
};
// Every partition that is to be archived; one that the vault knows nothing of begins at its log
// start. `logbook` follows the histories (load_history()). Throws what the cluster's clients throw.
std::vector<PartitionLeft> partitions_left(const Context& context, const vault::Logbook& logbook);

}  // namespace lifeboat::recovery
