#pragma once

#include <string>
#include <vector>

namespace loadgen {

/// Creates topics given as NAME:PARTITIONS; one that exists with as many partitions is fine. Throws
/// std::runtime_error otherwise.
void create_topics(const std::string& bootstrap, const std::vector<std::string>& topics);

/// A group's committed offsets beside the ends of the logs, as JSON:
/// {"partitions":[{"topic","partition","committed":offset or null,"begin","end"}],"lag":messages
/// not yet committed}. Does not join the group. Throws std::runtime_error when the broker does not
/// answer.
[[nodiscard]] std::string group_lag(const std::string& bootstrap, const std::string& group,
                                    const std::vector<std::string>& topics);

}  // namespace loadgen
