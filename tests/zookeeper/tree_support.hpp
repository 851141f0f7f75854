#pragma once

// The client's header declares its synchronous calls only so.
#ifndef THREADED
#define THREADED
#endif

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "zookeeper/session.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {

inline const std::vector<Acl> open_acl{{"world", "anyone", ZOO_PERM_ALL}};

// A client of its own, beside the code under test.
class Hand {
 public:
  explicit Hand(const Config& config) : session_(config, cancel_) {}

  void make(const std::string& path, std::string_view data = "",
            const std::vector<Acl>& acl = open_acl) {
    session_.create(path, data, acl, nullptr);
    expect_ok(session_.wait_for_one(), path);
  }
  // Lives until this object ends.
  void make_ephemeral(const std::string& path) {
    const int rc = zoo_create(session_.raw(), path.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE,
                              ZOO_EPHEMERAL, nullptr, 0);
    if (rc != ZOK) throw error_for(rc, path);
  }
  void set(const std::string& path, std::string_view data) {
    session_.set_data(path, data, nullptr);
    expect_ok(session_.wait_for_one(), path);
  }
  void remove(const std::string& path) {
    session_.remove(path, nullptr);
    expect_ok(session_.wait_for_one(), path);
  }
  std::optional<std::string> get(const std::string& path) {
    session_.get_data(path, nullptr);
    Reply reply = session_.wait_for_one();
    if (reply.rc == ZNONODE) return std::nullopt;
    expect_ok(reply, path);
    return reply.data;
  }
  std::int32_t version(const std::string& path) {
    session_.get_data(path, nullptr);
    Reply reply = session_.wait_for_one();
    expect_ok(reply, path);
    return reply.stat.version;
  }

 private:
  static void expect_ok(const Reply& reply, const std::string& path) {
    if (reply.rc != ZOK) throw error_for(reply.rc, path);
  }

  Cancel cancel_;
  Session session_;
};

inline std::vector<Znode> dump_all(const Config& config) {
  std::vector<Znode> nodes;
  dump_tree(config, Cancel(), [&](const Znode& node) { nodes.push_back(node); });
  return nodes;
}

// What must be alike before and after: zxids and versions are the server's own.
inline std::map<std::string, std::pair<std::string, std::vector<Acl>>> essence(
    const std::vector<Znode>& nodes) {
  std::map<std::string, std::pair<std::string, std::vector<Acl>>> all;
  for (const Znode& node : nodes) all[node.path] = {node.data, node.acl};
  return all;
}

// A `next` for restore_tree(); throws Error(cancelled) instead of giving node number `stop_at`.
inline std::function<std::optional<Znode>()> giving(const std::vector<Znode>& nodes,
                                                    std::size_t stop_at = SIZE_MAX) {
  return [&nodes, stop_at, at = std::size_t{0}]() mutable -> std::optional<Znode> {
    if (at == stop_at) throw Error(Code::cancelled, "test", "stopped here");
    if (at == nodes.size()) return std::nullopt;
    return nodes[at++];
  };
}

}  // namespace lifeboat::zookeeper
