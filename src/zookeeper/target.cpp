#include "base/error.hpp"
#include "zookeeper/session.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {

namespace {

constexpr std::size_t named_at_most = 5;

// Depth first through what is skeleton; content is named and not entered.
void look(Session& session, const std::string& path, bool at_true_root, const Skeleton& skeleton,
          TargetState& state) {
  if (state.found.size() == named_at_most) return;
  session.get_children(path, nullptr);
  const Reply reply = session.wait_for_one();
  if (reply.rc == ZNONODE) return;  // deleted meanwhile, or a chroot that is still to be made
  if (reply.rc != ZOK) throw error_for(reply.rc, "znode " + path);
  if (is_ephemeral(reply.stat)) {
    if (state.ephemeral.size() < named_at_most) state.ephemeral.push_back(path);
    return;
  }
  if (path != "/" && !(skeleton && skeleton(path))) {
    state.found.push_back(path);
    return;
  }
  for (const std::string& name : reply.children) {
    const std::string child = (path == "/" ? "/" : path + "/") + name;
    if (child == restore_marker || (at_true_root && child == "/zookeeper")) continue;
    look(session, child, at_true_root, skeleton, state);
  }
}

constexpr std::string_view gates_open_mark = " gates-open";

}  // namespace

std::string encode(const Marker& marker) {
  return marker.run + std::string(marker.gates_open ? gates_open_mark : "");
}

std::optional<Marker> read_marker(Session& session) {
  const std::string path(restore_marker);
  session.get_data(path, nullptr);
  const Reply reply = session.wait_for_one();
  if (reply.rc == ZNONODE) return std::nullopt;
  if (reply.rc == ZNOAUTH) return Marker{"(of somebody else)", false};
  if (reply.rc != ZOK) throw error_for(reply.rc, "znode " + path);
  Marker marker{reply.data.substr(0, reply.data.find(' ')), false};
  marker.gates_open = reply.data.ends_with(gates_open_mark);
  return marker;
}

TargetState look_at_target(Session& session, const Config& config, const Skeleton& skeleton) {
  TargetState state;
  state.reachable = true;
  look(session, "/", parse_connect_string(config.connect).chroot.empty(), skeleton, state);
  state.empty = state.found.empty();
  if (auto marker = read_marker(session)) state.unfinished_run = marker->run;
  return state;
}

TargetState target_state(const Config& config, const Cancel& cancel, const Skeleton& skeleton) {
  try {
    Session session(config, cancel);
    return look_at_target(session, config, skeleton);
  } catch (const Error& error) {
    if (error.code() != Code::unavailable) throw;
    TargetState state;
    state.reason = error.message();
    return state;
  }
}

}  // namespace lifeboat::zookeeper
