#include "kafka/group_protocol.hpp"

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "kafka/runs.hpp"

namespace lifeboat::kafka {

namespace {

constexpr std::int32_t kNoEpoch = -1;

GroupState group_state(std::string_view name) {
  if (name == "Empty") return GroupState::empty;
  if (name == "Stable") return GroupState::stable;
  if (name == "Dead") return GroupState::dead;
  const bool between = name == "PreparingRebalance" || name == "CompletingRebalance";
  return between ? GroupState::rebalancing : GroupState::unknown;
}

// ConsumerProtocolAssignment: what the members agreed on among themselves.
std::vector<TopicPartition> assigned(std::string_view bytes, const std::string& from) {
  ByteReader reader(bytes, from + ", DescribeGroups, a member's assignment");
  std::vector<TopicPartition> partitions;
  reader.be<std::int16_t>();  // version
  for (auto topics = reader.be<std::int32_t>(); topics > 0; --topics) {
    const std::string topic(reader.take(static_cast<std::uint16_t>(reader.be<std::int16_t>())));
    for (auto n = reader.be<std::int32_t>(); n > 0; --n) {
      partitions.push_back({topic, PartitionId(reader.be<std::int32_t>())});
    }
  }
  return partitions;
}

}  // namespace

Request find_coordinator_request(std::string_view client_id, const std::string& group) {
  Request request(Api::find_coordinator, 1, Header::classic, client_id);
  request.string(group).be<std::int8_t>(0);  // a group's, not a transaction's
  return request;
}

Coordinator parse_find_coordinator(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", FindCoordinator");
  Coordinator coordinator{};
  answer.be<std::int32_t>();  // throttle time
  coordinator.error = answer.be<std::int16_t>();
  answer.string();  // error message
  coordinator.broker.id = BrokerId(answer.be<std::int32_t>());
  coordinator.broker.host = answer.string();
  coordinator.broker.port = answer.be<std::int32_t>();
  return coordinator;
}

Request leave_group_request(std::string_view client_id, const std::string& group,
                            const std::string& member_id) {
  Request request(Api::leave_group, 3, Header::classic, client_id);
  request.string(group).be<std::int32_t>(1).string(member_id).null_string();
  return request;
}

std::int16_t parse_leave_group(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", LeaveGroup");
  answer.be<std::int32_t>();  // throttle time
  if (const auto error = answer.be<std::int16_t>(); error != 0) return error;
  if (answer.size(6) != 1) answer.corrupt("one member was named, not one is answered");
  answer.string();  // member id
  answer.string();  // group instance id
  return answer.be<std::int16_t>();
}

Request list_groups_request(std::string_view client_id) {
  return Request(Api::list_groups, 2, Header::classic, client_id);
}

ListedGroups parse_list_groups(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", ListGroups");
  ListedGroups listed{};
  answer.be<std::int32_t>();  // throttle time
  listed.error = answer.be<std::int16_t>();
  for (auto n = answer.size(4); n > 0; --n) {
    ListedGroup one;
    one.group = answer.string();
    one.protocol_type = answer.string();
    listed.groups.push_back(std::move(one));
  }
  return listed;
}

Request describe_group_request(std::string_view client_id, const std::string& group) {
  Request request(Api::describe_groups, 3, Header::classic, client_id);
  request.be<std::int32_t>(1).string(group).be<std::int8_t>(0);  // without authorized operations
  return request;
}

DescribedGroup parse_describe_group(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", DescribeGroups");
  DescribedGroup described{};
  answer.be<std::int32_t>();  // throttle time
  if (answer.size(16) != 1) answer.corrupt("one group was named, not one is answered");
  described.error = answer.be<std::int16_t>();
  answer.string();  // group
  described.description.state = group_state(answer.string());
  const bool consumers = answer.string() == "consumer";
  described.description.strategy = answer.string();
  for (auto n = answer.size(14); n > 0; --n) {
    GroupMember member;
    member.member_id = answer.string();
    member.client_id = answer.string();
    member.host = answer.string();
    answer.bytes();  // what it asked for
    const auto assignment = answer.bytes();
    if (consumers && !assignment.empty()) member.assignment = assigned(assignment, from);
    described.description.members.push_back(std::move(member));
  }
  return described;
}

Request offset_fetch_request(std::string_view client_id, const std::string& group) {
  Request request(Api::offset_fetch, 5, Header::classic, client_id);
  request.string(group).be<std::int32_t>(-1);  // null: all
  return request;
}

FetchedOffsets parse_offset_fetch(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", OffsetFetch");
  FetchedOffsets fetched{};
  answer.be<std::int32_t>();  // throttle time
  for (auto topics = answer.size(6); topics > 0; --topics) {
    const std::string topic(answer.string());
    for (auto n = answer.size(20); n > 0; --n) {
      FetchedOffset one;
      one.partition = {topic, PartitionId(answer.be<std::int32_t>())};
      one.offset = Offset(answer.be<std::int64_t>());
      answer.be<std::int32_t>();  // leader epoch
      answer.string();            // metadata
      one.error = answer.be<std::int16_t>();
      fetched.offsets.push_back(std::move(one));
    }
  }
  fetched.error = answer.be<std::int16_t>();
  return fetched;
}

Request offset_commit_request(std::string_view client_id, const std::string& group,
                              const std::map<TopicPartition, Offset>& offsets) {
  Request request(Api::offset_commit, 7, Header::classic, client_id);
  request.string(group).be<std::int32_t>(-1).string("").null_string();
  const std::vector<std::pair<TopicPartition, Offset>> all(offsets.begin(), offsets.end());
  const auto topic = [](const auto& one) { return one.first.topic; };
  request.be(static_cast<std::int32_t>(count_runs(all, topic)));
  for_each_run(all, topic, [&](auto first, auto last) {
    request.string(first->first.topic).be(static_cast<std::int32_t>(last - first));
    for (; first != last; ++first) {
      request.be(first->first.partition.value).be(first->second.value).be(kNoEpoch).string("");
    }
  });
  return request;
}

std::vector<CommittedOffset> parse_offset_commit(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", OffsetCommit");
  std::vector<CommittedOffset> committed;
  answer.be<std::int32_t>();  // throttle time
  for (auto topics = answer.size(6); topics > 0; --topics) {
    const std::string topic(answer.string());
    for (auto n = answer.size(6); n > 0; --n) {
      const PartitionId partition(answer.be<std::int32_t>());
      committed.push_back({{topic, partition}, answer.be<std::int16_t>()});
    }
  }
  return committed;
}

Request delete_group_request(std::string_view client_id, const std::string& group) {
  Request request(Api::delete_groups, 1, Header::classic, client_id);
  request.be<std::int32_t>(1).string(group);
  return request;
}

std::int16_t parse_delete_group(std::string_view bytes, const std::string& from) {
  Answer answer(bytes, Header::classic, from + ", DeleteGroups");
  answer.be<std::int32_t>();  // throttle time
  if (answer.size(4) != 1) answer.corrupt("one group was named, not one is answered");
  answer.string();  // group
  return answer.be<std::int16_t>();
}

}  // namespace lifeboat::kafka
