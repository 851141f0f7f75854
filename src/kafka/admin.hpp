#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

enum class GroupState { unknown, empty, stable, rebalancing, dead };
std::string_view to_string(GroupState state);

struct GroupMember {
  std::string member_id;
  std::string client_id;
  std::string host;
  std::vector<TopicPartition> assignment;
};

struct GroupDescription {
  GroupState state = GroupState::unknown;  // dead: the group does not exist
  std::string strategy;                    // partition.assignment.strategy that was agreed on
  std::vector<GroupMember> members;
};
std::string to_string(const GroupMember& member);  // "client (host, member id)"

// Groups, offsets, topics and configurations, by librdkafka. One client, made once and kept.
// Thread-safe. Throws Error: unavailable, timeout, failed (subject: group or topic). Coordinators
// that are not ready yet are asked again until Config::request_timeout.
class Admin {
 public:
  Admin(Config config, Clock& clock);
  ~Admin();

  std::vector<std::string> list_groups();
  GroupDescription describe(const std::string& group);
  // Every partition that the group has an offset for. A few milliseconds once connected.
  std::map<TopicPartition, Offset> committed(const std::string& group);
  // Only when the group has no members; else Error(refused) that names them.
  void alter_offsets(const std::string& group, const std::map<TopicPartition, Offset>& offsets);
  // Takes a member out at once. False: it was not there.
  bool evict(const std::string& group, const std::string& member_id);
  // False: no such group. Error(refused) when it has members.
  bool delete_group(const std::string& group);

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
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
