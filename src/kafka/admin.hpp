#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "kafka/groups.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

// Topics and configurations by librdkafka, made when it is first needed; groups as Groups has them.
// Thread-safe. Throws Error: unavailable, timeout, failed (subject: group or topic), and as Groups.
class Admin {
 public:
  Admin(Config config, Clock& clock);
  ~Admin();

  std::vector<std::string> list_groups() { return groups_.list(); }
  GroupDescription describe(const std::string& group) { return groups_.describe(group); }
  std::map<TopicPartition, Offset> committed(const std::string& group) {
    return groups_.committed(group);
  }
  void alter_offsets(const std::string& group, const std::map<TopicPartition, Offset>& offsets) {
    groups_.alter_offsets(group, offsets);
  }
  bool evict(const std::string& group, const std::string& member_id) {
    return groups_.evict(group, member_id);
  }
  bool delete_group(const std::string& group) { return groups_.remove(group); }

  // What differs from the broker's defaults.
  std::map<std::string, std::string> topic_configs(const std::string& topic);
  // Waits until all partitions have leaders. Error(conflict): it exists.
  void create_topic(const std::string& topic, int partitions, int replication,
                    const std::map<std::string, std::string>& configs);
  // Waits until it is gone from the metadata. False: it was not there.
  bool delete_topic(const std::string& topic);
  // Replaces the whole set: what is not named goes back to the default (AlterConfigs).
  void set_topic_configs(const std::string& topic,
                         const std::map<std::string, std::string>& configs);

 private:
  struct State;
  Groups groups_;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
