#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zookeeper/tree.hpp"

// What Kafka (3.9, ZooKeeper mode) keeps in ZooKeeper, and what must change when an old copy of it
// is put back under brokers whose disks went on. Source: kafka.zk.ZkData of Kafka 3.9.
// `root` is Kafka's chroot within the tree: "" or "/kafka".
namespace lifeboat::zookeeper {

// True for the paths that belong to Kafka.
bool is_kafka_path(std::string_view path, std::string_view root = "");

// A Skeleton: paths that a broker makes by itself on an empty ZooKeeper (directories, epochs,
// cluster id), at any time. Topics, configurations, ACLs and users are none.
bool kafka_skeleton(std::string_view path, std::string_view root = "");

// False for nodes that must not come back: notifications of changes that are over (restarted
// brokers read the whole state), and orders that were pending (delete a topic, elect, reassign):
// a restore never destroys by an old order.
bool kafka_keeps(std::string_view path, std::string_view root = "");

// True for nodes whose version counter is state: brokers take their generated ids from the version
// of /brokers/seqid.
bool kafka_keeps_version(std::string_view path, std::string_view root = "");

// /brokers/ids, without which no broker can register, and /cluster/id, without which a broker that
// starts gives up (it finds another cluster id than its disks hold). A broker that registers while
// the topics come back would become controller, make partition states of its own, and could elect
// a replica that lags.
std::vector<std::string> kafka_gates(std::string_view root = "");

// How far counters are moved ahead of the copy, so that nothing that was handed out after the copy
// was made is handed out twice.
struct KafkaMargins {
  std::int64_t producer_ids = 10'000'000;  // brokers take blocks of 1,000
  std::int32_t leader_epochs = 10'000;     // one each election of a partition's leader
  std::int32_t controller_epochs = 10'000;
};

// New data for nodes that hold a counter (/latest_producer_id_block, /controller_epoch, each
// partition's state), nullopt for all others. Error(corrupt) when the node is not as Kafka writes
// it; Error(unsupported) for a version that is not known, or a counter that would overflow.
std::optional<std::string> kafka_moved_ahead(const Znode& node, std::string_view root = "",
                                             const KafkaMargins& margins = {});

// All of the above as the options of one restore, for a tree that holds Kafka's nodes below `root`
// (and maybe others beside them). `run` names the restore.
RestoreOptions kafka_restore_options(std::string run, std::string root = "");

}  // namespace lifeboat::zookeeper
