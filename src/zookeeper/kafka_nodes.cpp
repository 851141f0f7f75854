#include "zookeeper/kafka_nodes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json_depth.hpp"

namespace lifeboat::zookeeper {

namespace {

using nlohmann::json;

constexpr std::array top_level{
    "/admin",
    "/brokers",
    "/cluster",
    "/config",
    "/consumers",
    "/controller",
    "/controller_epoch",
    "/delegation_token",
    "/feature",
    "/isr_change_notification",
    "/kafka-acl",
    "/kafka-acl-changes",
    "/kafka-acl-extended",
    "/kafka-acl-extended-changes",
    "/latest_producer_id_block",
    "/log_dir_event_notification",
    "/migration",
};

// What a broker makes when it starts on an empty ZooKeeper (ZkData.PersistentZkPaths), what the
// first controller adds, and what an authorizer and delegation tokens add.
constexpr std::array made_by_brokers{
    "/admin",
    "/admin/delete_topics",
    "/brokers",
    "/brokers/ids",
    "/brokers/seqid",
    "/brokers/topics",
    "/cluster",
    "/cluster/id",
    "/config",
    "/config/brokers",
    "/config/changes",
    "/config/clients",
    "/config/ips",
    "/config/topics",
    "/config/users",
    "/consumers",
    "/controller",
    "/controller_epoch",
    "/delegation_token",
    "/delegation_token/token_changes",
    "/delegation_token/tokens",
    "/feature",
    "/isr_change_notification",
    "/kafka-acl",
    "/kafka-acl-changes",
    "/kafka-acl-extended",
    "/kafka-acl-extended-changes",
    "/kafka-acl-extended/prefixed",
    "/kafka-acl/Cluster",
    "/kafka-acl/DelegationToken",
    "/kafka-acl/Group",
    "/kafka-acl/Topic",
    "/kafka-acl/TransactionalId",
    "/latest_producer_id_block",
    "/log_dir_event_notification",
    "/migration",
};

// Parents of notifications and of pending orders.
constexpr std::array passing{
    "/admin/delete_topics",
    "/config/changes",
    "/brokers/ids",
    "/delegation_token/token_changes",
    "/isr_change_notification",
    "/kafka-acl-changes",
    "/kafka-acl-extended-changes",
    "/log_dir_event_notification",
};
constexpr std::array pending_orders{"/admin/preferred_replica_election",
                                    "/admin/reassign_partitions", "/controller"};

// The path below Kafka's root ("/" for the root itself), or nullopt.
std::optional<std::string_view> below(std::string_view path, std::string_view root) {
  if (!path.starts_with(root)) return std::nullopt;
  path.remove_prefix(root.size());
  if (path.empty()) return "/";
  if (path.front() != '/') return std::nullopt;
  return path;
}

bool is_or_below(std::string_view path, std::string_view parent) {
  return path.starts_with(parent) && (path.size() == parent.size() || path[parent.size()] == '/');
}

// /brokers/topics/<topic>/partitions/<partition>/state
bool is_partition_state(std::string_view path) {
  return path.starts_with("/brokers/topics/") && path.ends_with("/state") &&
         std::count(path.begin(), path.end(), '/') == 6 &&
         path.find("/partitions/") != std::string_view::npos;
}

[[noreturn]] void refuse(const Znode& node, Code code, const std::string& why) {
  throw Error(code, "znode " + node.path, why);
}

template <typename Int>
Int ahead(const Znode& node, Int counter, Int margin) {
  if (counter < 0) refuse(node, Code::corrupt, "holds a counter below 0");
  if (counter > std::numeric_limits<Int>::max() / 2 - margin) {
    refuse(node, Code::unsupported, "holds a counter that cannot be moved ahead");
  }
  return counter + margin;
}

template <typename Int>
Int parse_number(const Znode& node, std::string_view text) {
  Int value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    refuse(node, Code::corrupt, "holds no number where one must be");
  }
  return value;
}

json parse_object(const Znode& node) {
  if (nests_too_deep(node.data)) refuse(node, Code::corrupt, "is nested too deep");
  json object = json::parse(node.data, nullptr, false);
  if (!object.is_object()) refuse(node, Code::corrupt, "is not a JSON object");
  if (object.value("version", json()) != 1) {
    refuse(node, Code::unsupported, "is of a version that is not known");
  }
  return object;
}

// {"version":1,"broker":0,"block_start":"0","block_end":"999"}: the last block that was given out;
// the next begins after block_end. Empty before the first.
std::string producer_ids_ahead(const Znode& node, std::int64_t margin) {
  constexpr std::int64_t block = 1000;
  std::int64_t start = 0;
  json object = {{"version", 1}, {"broker", 0}};
  if (!node.data.empty()) {
    object = parse_object(node);
    start = parse_number<std::int64_t>(node, object.at("block_start").get<std::string>());
    const auto end = parse_number<std::int64_t>(node, object.at("block_end").get<std::string>());
    if (end < start) refuse(node, Code::corrupt, "ends before it begins");
    start = std::max<std::int64_t>(end - (block - 1), 0);
  }
  start = ahead(node, start, margin);
  object["block_start"] = std::to_string(start);
  object["block_end"] = std::to_string(start + block - 1);
  return object.dump();
}

std::string partition_state_ahead(const Znode& node, const KafkaMargins& margins) {
  json state = parse_object(node);
  state["leader_epoch"] =
      ahead(node, state.at("leader_epoch").get<std::int32_t>(), margins.leader_epochs);
  state["controller_epoch"] =
      ahead(node, state.at("controller_epoch").get<std::int32_t>(), margins.controller_epochs);
  return state.dump();
}

}  // namespace

bool is_kafka_path(std::string_view path, std::string_view root) {
  const auto own = below(path, root);
  if (!own) return false;
  return std::any_of(top_level.begin(), top_level.end(),
                     [&](const char* top) { return is_or_below(*own, top); });
}

bool kafka_skeleton(std::string_view path, std::string_view root) {
  // The chroot's own ancestors were made for it.
  if (!root.empty() && is_or_below(root, path)) return true;
  const auto own = below(path, root);
  return own &&
         std::find(made_by_brokers.begin(), made_by_brokers.end(), *own) != made_by_brokers.end();
}

bool kafka_keeps(std::string_view path, std::string_view root) {
  const auto own = below(path, root);
  if (!own) return true;
  const bool passes = std::any_of(passing.begin(), passing.end(), [&](const char* parent) {
    return *own != parent && is_or_below(*own, parent);
  });
  return !passes &&
         std::find(pending_orders.begin(), pending_orders.end(), *own) == pending_orders.end();
}

bool kafka_keeps_version(std::string_view path, std::string_view root) {
  return below(path, root) == "/brokers/seqid";
}

std::vector<std::string> kafka_gates(std::string_view root) {
  return {std::string(root) + "/brokers/ids", std::string(root) + "/cluster/id"};
}

std::optional<std::string> kafka_moved_ahead(const Znode& node, std::string_view root,
                                             const KafkaMargins& margins) {
  const auto own = below(node.path, root);
  if (!own) return std::nullopt;
  try {
    if (*own == "/latest_producer_id_block") return producer_ids_ahead(node, margins.producer_ids);
    if (*own == "/controller_epoch") {
      return std::to_string(
          ahead(node, parse_number<std::int32_t>(node, node.data), margins.controller_epochs));
    }
    if (is_partition_state(*own)) return partition_state_ahead(node, margins);
  } catch (const json::exception&) {
    refuse(node, Code::corrupt, "is not as Kafka writes it");
  }
  return std::nullopt;
}

RestoreOptions kafka_restore_options(std::string run, std::string root) {
  RestoreOptions options;
  options.run = std::move(run);
  options.keep = [root](const Znode& node) { return kafka_keeps(node.path, root); };
  options.change = [root](const Znode& node) { return kafka_moved_ahead(node, root); };
  options.keep_version = [root](const Znode& node) { return kafka_keeps_version(node.path, root); };
  options.gates = kafka_gates(root);
  options.skeleton = [root](std::string_view path) { return kafka_skeleton(path, root); };
  return options;
}

}  // namespace lifeboat::zookeeper
