#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
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
std::string to_string(const GroupMember& member);  // "client (host, member id)"

struct GroupDescription {
  GroupState state = GroupState::unknown;  // dead: the group does not exist
  std::string strategy;                    // partition.assignment.strategy that was agreed on
  std::vector<GroupMember> members;
};

// Consumer groups and their offsets, asked on the wire (FindCoordinator v1, ListGroups v2,
// DescribeGroups v3, OffsetFetch v5, OffsetCommit v7, LeaveGroup v3, DeleteGroups v1 of
// https://kafka.apache.org/protocol). Keeps connections; thread-safe, one request at a time.
// Coordinators that move, start or are not there yet are asked again until Config::request_timeout.
// Throws Error: unavailable, timeout, denied, failed (subject: the group), corrupt.
class Groups {
 public:
  // `cancel`, if given, ends every call with Error(cancelled); it must outlive this.
  Groups(Config config, Clock& clock, const Cancel* cancel = nullptr);
  ~Groups();

  // Of all brokers, those that consumers made.
  std::vector<std::string> list();
  GroupDescription describe(const std::string& group);
  // Every partition that the group has an offset for. A few milliseconds once connected.
  std::map<TopicPartition, Offset> committed(const std::string& group);
  // Only when the group has no members; else Error(refused) that names them.
  void alter_offsets(const std::string& group, const std::map<TopicPartition, Offset>& offsets);
  // Takes one member out at once, whether it lives or not. False: no such member.
  bool evict(const std::string& group, const std::string& member_id);
  // False: no such group. Error(refused) when it has members.
  bool remove(const std::string& group);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
