#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/cluster.hpp"
#include "kafka/groups.hpp"
#include "kafka/wire.hpp"

namespace lifeboat::kafka {

// Requests and answers about groups, as protocol.hpp has the others.

struct Coordinator {
  std::int16_t error;
  BrokerInfo broker;
};
Request find_coordinator_request(std::string_view client_id, const std::string& group);
Coordinator parse_find_coordinator(std::string_view answer, const std::string& from);

Request leave_group_request(std::string_view client_id, const std::string& group,
                            const std::string& member_id);
std::int16_t parse_leave_group(std::string_view answer, const std::string& from);

struct ListedGroup {
  std::string group;
  std::string protocol_type;  // "consumer"; empty: only offsets, no members ever
};
struct ListedGroups {
  std::int16_t error;
  std::vector<ListedGroup> groups;  // that this broker coordinates
};
Request list_groups_request(std::string_view client_id);
ListedGroups parse_list_groups(std::string_view answer, const std::string& from);

struct DescribedGroup {
  std::int16_t error;
  GroupDescription description;
};
Request describe_group_request(std::string_view client_id, const std::string& group);
DescribedGroup parse_describe_group(std::string_view answer, const std::string& from);

struct FetchedOffset {
  TopicPartition partition;
  std::int16_t error;
  Offset offset;  // below 0: none
};
struct FetchedOffsets {
  std::int16_t error;
  std::vector<FetchedOffset> offsets;
};
// All that the group has.
Request offset_fetch_request(std::string_view client_id, const std::string& group);
FetchedOffsets parse_offset_fetch(std::string_view answer, const std::string& from);

struct CommittedOffset {
  TopicPartition partition;
  std::int16_t error;
};
// As nobody's member: brokers take it while the group has none.
Request offset_commit_request(std::string_view client_id, const std::string& group,
                              const std::map<TopicPartition, Offset>& offsets);
std::vector<CommittedOffset> parse_offset_commit(std::string_view answer, const std::string& from);

Request delete_group_request(std::string_view client_id, const std::string& group);
std::int16_t parse_delete_group(std::string_view answer, const std::string& from);

}  // namespace lifeboat::kafka
