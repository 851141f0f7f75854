#pragma once

#include <optional>
#include <string>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/types.hpp"
#include "recovery/group_offsets.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_writer.hpp"

namespace lifeboat::recovery {

// Writes the groups' committed offsets into the logbook whenever they changed, so that they are not
// lost with Kafka. (They are samples: a commit between two of them is not seen.)
class GroupSampler {
 public:
  GroupSampler(kafka::Config config, vault::LogbookWriter& writer, Clock& clock);
  // Until cancelled, one sample each `interval`. A Kafka that is down is waited for.
  void run(Millis interval, const Cancel& cancel);

 private:
  // Until cancelled or an error.
  void sample(Millis interval, const Cancel& cancel);

  kafka::Config config_;
  vault::LogbookWriter& writer_;
  Clock& clock_;
  std::string last_;
  std::int64_t last_time_ = 0;
};

// The newest sample of a cluster; nullopt when there is none.
std::optional<GroupOffsets> last_group_sample(const vault::Logbook& logbook,
                                              const std::string& cluster_id);

}  // namespace lifeboat::recovery
