#include "kafka/groups.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <mutex>

#include "base/error.hpp"
#include "kafka/brokers.hpp"
#include "kafka/group_protocol.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {

namespace {

[[noreturn]] void fail(const std::string& group, const std::string& doing, std::int16_t error) {
  const auto name = protocol_error_name(error);
  if (error == kGroupAuthorizationFailed) {
    throw Error(Code::denied, "group " + group, doing + ": " + name,
                "the user needs the rights DESCRIBE, READ and DELETE on groups");
  }
  throw Error(Code::failed, "group " + group, doing + ": " + name);
}

bool passes(std::int16_t error) {
  return is_retriable(error) || error == kRebalanceInProgress;
}

[[noreturn]] void refuse_members(const std::string& group, const GroupDescription& description,
                                 const std::string& what) {
  std::string names;
  for (const auto& member : description.members) {
    names += (names.empty() ? "" : ", ") + to_string(member);
  }
  throw Error(Code::refused, "group " + group, what + " while it has members: " + names,
              "stop these consumers first");
}

}  // namespace

std::string_view to_string(GroupState state) {
  switch (state) {
    case GroupState::empty:
      return "empty";
    case GroupState::stable:
      return "stable";
    case GroupState::rebalancing:
      return "rebalancing";
    case GroupState::dead:
      return "dead";
    case GroupState::unknown:
      break;
  }
  return "unknown";
}

std::string to_string(const GroupMember& member) {
  return fmt::format("{} ({}, member {})", member.client_id, member.host, member.member_id);
}

struct Groups::State {
  State(Config config, Clock& clock, const Cancel* cancel)
      : brokers(std::move(config), clock, cancel) {}

  std::mutex mutex;
  Brokers brokers;

  std::string_view client_id() const { return brokers.config().client_id; }

  // Asks the group's coordinator until `take` (given the answer and who gave it) returns an error
  // that does not pass; returns that.
  std::int16_t ask(const std::string& group, const std::string& doing, const Request& request,
                   const std::function<std::int16_t(std::string_view, const std::string&)>& take) {
    std::int16_t error = kNone;
    brokers.until_done(doing + " of group " + group, [&](std::string& trouble) {
      std::string from;
      const auto found = brokers.ask_any(find_coordinator_request(client_id(), group), from);
      const auto coordinator = parse_find_coordinator(found, from);
      error = coordinator.error;
      if (error == kNone) {
        const auto& broker = coordinator.broker;
        from = broker.host + ":" + std::to_string(broker.port);
        error = take(brokers.ask(broker, request), from);
      }
      trouble = protocol_error_name(error);
      return !passes(error);
    });
    return error;
  }

  GroupDescription describe(const std::string& group) {
    GroupDescription description;
    const std::string doing = "asking for the members";
    const auto error = ask(group, doing, describe_group_request(client_id(), group),
                           [&](std::string_view answer, const std::string& from) {
                             auto described = parse_describe_group(answer, from);
                             description = std::move(described.description);
                             return described.error;
                           });
    if (error != kNone && error != kGroupIdNotFound) fail(group, doing, error);
    if (error == kGroupIdNotFound) description.state = GroupState::dead;
    return description;
  }
};

Groups::Groups(Config config, Clock& clock, const Cancel* cancel)
    : state_(std::make_unique<State>(std::move(config), clock, cancel)) {}
Groups::~Groups() = default;

std::vector<std::string> Groups::list() {
  std::lock_guard lock(state_->mutex);
  auto& brokers = state_->brokers;
  std::vector<std::string> groups;
  brokers.until_done("listing groups", [&](std::string& trouble) {
    groups.clear();
    for (const auto& broker : brokers.metadata().brokers) {
      const auto answer = brokers.ask(broker, list_groups_request(state_->client_id()));
      const auto listed = parse_list_groups(answer, broker.host);
      trouble = protocol_error_name(listed.error);
      if (passes(listed.error)) return false;
      if (listed.error != kNone) throw Error(Code::failed, broker.host, "ListGroups: " + trouble);
      for (const auto& one : listed.groups) {
        if (one.protocol_type.empty() || one.protocol_type == "consumer") {
          groups.push_back(one.group);
        }
      }
    }
    return true;
  });
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

GroupDescription Groups::describe(const std::string& group) {
  std::lock_guard lock(state_->mutex);
  return state_->describe(group);
}

std::map<TopicPartition, Offset> Groups::committed(const std::string& group) {
  std::lock_guard lock(state_->mutex);
  std::map<TopicPartition, Offset> offsets;
  const std::string doing = "reading the offsets";
  const auto error = state_->ask(group, doing, offset_fetch_request(state_->client_id(), group),
                                 [&](std::string_view answer, const std::string& from) {
                                   auto fetched = parse_offset_fetch(answer, from);
                                   offsets.clear();
                                   for (auto& one : fetched.offsets) {
                                     if (one.error != kNone) return one.error;
                                     if (one.offset >= Offset(0)) {
                                       offsets[std::move(one.partition)] = one.offset;
                                     }
                                   }
                                   return fetched.error;
                                 });
  if (error != kNone) fail(group, doing, error);
  return offsets;
}

void Groups::alter_offsets(const std::string& group,
                           const std::map<TopicPartition, Offset>& offsets) {
  if (offsets.empty()) return;
  std::lock_guard lock(state_->mutex);
  const std::string cannot = "its offsets cannot be changed";
  if (const auto now = state_->describe(group); !now.members.empty()) {
    refuse_members(group, now, cannot);
  }
  const std::string doing = "changing the offsets";
  TopicPartition where;
  const auto error =
      state_->ask(group, doing, offset_commit_request(state_->client_id(), group, offsets),
                  [&](std::string_view answer, const std::string& from) -> std::int16_t {
                    for (const auto& one : parse_offset_commit(answer, from)) {
                      where = one.partition;
                      if (one.error != kNone) return one.error;
                    }
                    return kNone;
                  });
  if (error == kNone) return;
  // Somebody may have joined in between: then say so.
  if (const auto now = state_->describe(group); !now.members.empty()) {
    refuse_members(group, now, cannot);
  }
  fail(group, doing + " at " + to_string(where), error);
}

bool Groups::evict(const std::string& group, const std::string& member_id) {
  std::lock_guard lock(state_->mutex);
  const std::string doing = "taking out member " + member_id;
  const auto error =
      state_->ask(group, doing, leave_group_request(state_->client_id(), group, member_id),
                  [](std::string_view answer, const std::string& from) {
                    return parse_leave_group(answer, from);
                  });
  if (error != kNone && error != kUnknownMemberId) fail(group, doing, error);
  return error == kNone;
}

bool Groups::remove(const std::string& group) {
  std::lock_guard lock(state_->mutex);
  const std::string doing = "deleting it";
  const auto error = state_->ask(group, doing, delete_group_request(state_->client_id(), group),
                                 [](std::string_view answer, const std::string& from) {
                                   return parse_delete_group(answer, from);
                                 });
  if (error == kNonEmptyGroup) {
    refuse_members(group, state_->describe(group), "it cannot be deleted");
  }
  if (error != kNone && error != kGroupIdNotFound) fail(group, doing, error);
  return error == kNone;
}

}  // namespace lifeboat::kafka
