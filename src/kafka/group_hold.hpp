#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

enum class EvictOthers { no, yes };

// Holds a consumer group closed: a member with an assignment strategy that no one else offers
// (cooperative-sticky alone), so that the broker refuses every other member (INCONSISTENT_GROUP_
// PROTOCOL) while it is in. It reads nothing and commits only what it is told to.
// A thread of its own keeps the membership; the methods are for one thread at a time.
class GroupHold {
 public:
  // Returns when it is the only member. With EvictOthers::no a group that has members is
  // Error(refused) that names them; with yes they are taken out, as often as they come before the
  // hold stands. Error(timeout) at the deadline, Error(cancelled).
  GroupHold(Config config, std::string group, std::vector<std::string> topics, EvictOthers others,
            const Cancel& cancel, Deadline deadline, Clock& clock);
  ~GroupHold();  // leaves

  // As a member; any partition of any existing topic, not only of `topics`.
  void commit(const std::map<TopicPartition, Offset>& offsets);
  // Read back from the broker by another client: all offsets of the group.
  std::map<TopicPartition, Offset> committed();
  // Throws Error(conflict) when this is no longer the only member.
  void check();
  // Out of the group at once; no session timeout is waited for. Nothing to do the second time.
  void leave();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
