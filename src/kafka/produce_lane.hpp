#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kafka/connection.hpp"
#include "kafka/produce_queue.hpp"
#include "kafka/protocol.hpp"

namespace lifeboat::kafka {

// Sends the batches of its partitions to their leaders: up to five requests in flight a connection
// (as many batches as a broker remembers of a producer), each with at most one batch a partition.
// What a broker that was killed does not remember is looked up in its log.
class ProduceLane {
 public:
  explicit ProduceLane(ProduceShared& shared);
  ~ProduceLane();  // the shared `stop` must have been requested

  // With shared.mutex held.
  PartitionQueue& queue(const TopicPartition& partition);
  bool empty() const;

 private:
  using Waiting = std::vector<PartitionQueue*>;
  struct Link {
    std::unique_ptr<Connection> connection;
    std::deque<Waiting> in_flight;  // the partitions of each request
    bool takes_more() const;
  };

  void run();
  bool send_some();
  std::map<BrokerId, Waiting> sendable();
  void send_to(BrokerId id, const Waiting& partitions);
  Link& link_to(BrokerId id);
  void receive_one();
  void take_in(PartitionQueue& queue, const ProducedPartition& answer);
  void acknowledged(PartitionQueue& queue, Offset base);
  void rewind(PartitionQueue& queue);
  void look_what_is_there();
  void look_what_is_there(PartitionQueue& queue);
  void answered(PartitionQueue& queue);
  void drop(BrokerId id, const Error& error);
  void check_progress(const std::string& trouble);
  void refresh_leaders();

  ProduceShared& shared_;
  std::map<TopicPartition, PartitionQueue> queues_;  // the map is guarded by shared_.mutex
  std::map<BrokerId, Link> links_;
  std::chrono::steady_clock::time_point last_progress_;
  std::string trouble_;
  std::string buffer_;
  std::thread thread_;
};

}  // namespace lifeboat::kafka
