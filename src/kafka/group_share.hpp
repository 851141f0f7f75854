#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/clock.hpp"
#include "kafka/fetcher.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

struct GroupShareOptions {
  std::string group{};
  // Holds the group.instance.id, made when it is not there: who comes back within `session` has its
  // partitions again at once (KIP-345).
  std::filesystem::path instance_file{};
  std::vector<std::string> include{"*"};  // topics, as is_chosen() takes them
  std::vector<std::string> exclude{};
  Millis session{10000};  // a member that is silent for so long loses its share
  Millis alone{60000};    // not let in for so long after the start: follows everything
  Millis refresh{2000};   // of the topics
};

struct GroupShareStatus {
  bool member = false;
  std::size_t partitions = 0;
  std::string problem;  // empty while it is a member
};

// Which partitions are this process's share of the work, as one member of an ordinary consumer
// group (librdkafka, cooperative-sticky); nothing is consumed or committed by it. Who loses touch
// with the group keeps its share until it is a member again: a partition that two archive is
// harmless, one that nobody archives is not. Thread-safe.
class GroupShare : public FetchShare {
 public:
  // `gaining` runs before has() is true for what is new, `losing` after it is false for what went,
  // both on run()'s thread, and the group waits for them (up to five minutes).
  using Told = std::function<void(const std::vector<TopicPartition>&)>;
  GroupShare(Config config, GroupShareOptions options, Told gaining, Told losing, Clock& clock);
  ~GroupShare();

  // Returns when cancelled. Brokers that are away are waited for. Throws what the callbacks throw,
  // and Error(config, denied).
  void run(const Cancel& cancel);

  bool has(const TopicPartition& tp) const override;
  std::uint64_t version() const override;
  GroupShareStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lifeboat::kafka
