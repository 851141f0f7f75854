#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "zookeeper/session.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {

namespace {

constexpr std::size_t window = 512;            // writes that are under way at once
constexpr std::size_t data_budget = 8u << 20;  // and bytes of their data
constexpr std::int64_t max_version_writes = 100'000;
constexpr int max_tries = 5;  // of one write, when the connection is lost

const std::vector<Acl> open_to_all{{"world", "anyone", ZOO_PERM_ALL}};

// One node on its way into the tree. `number` keeps the order of the file.
struct Write {
  enum class Stage { to_create, creating, comparing, overwriting, done };
  std::uint64_t number = 0;
  Znode node;
  Stage stage = Stage::to_create;
  int tries = 0;
};

struct LateAcl {
  std::string path;
  std::vector<Acl> acl;
};

// The restore of one tree: nodes first, pipelined in the order of the file; then the ACLs that
// would have locked this session out, and version counters.
class Restore {
 public:
  Restore(Session& session, const RestoreOptions& options, bool resumed)
      : session_(session),
        options_(options),
        resumed_(resumed),
        gates_(options.gates.begin(), options.gates.end()),
        early_acl_(session.has_auth() ? std::vector<Acl>{{"auth", "", ZOO_PERM_ALL}}
                                      : open_to_all) {}

  RestoreResult run(const std::function<std::optional<Znode>()>& next) {
    close_gates();
    write_nodes(next);
    for (const Znode& node : versioned_) raise_version(node);
    set_late_acls([this](const std::string& path) { return !holds_gate(path); });
    open_gates();
    return finish_acls();
  }

  // The gates were open already: all nodes are there, and others may work on them. Only the ACLs
  // of the nodes around the gates can be missing.
  RestoreResult run_with_gates_open(const std::function<std::optional<Znode>()>& next) {
    finishing_ = true;
    while (auto node = next()) {
      result_.present += 1;
      if (holds_gate(node->path) && node->acl != open_to_all) {
        late_acls_.push_back({node->path, node->acl});
      }
    }
    return finish_acls();
  }

 private:
  // The root's own ACL comes last of all: it may forbid to take the marker away.
  RestoreResult finish_acls() {
    set_late_acls([](const std::string& path) { return path != "/"; });
    if (options_.on_whole) options_.on_whole();
    session_.remove(std::string(restore_marker), nullptr);
    const int rc = session_.wait_for_one().rc;
    // Not allowed: an earlier try did it, and then gave the root its own ACL.
    const bool gone = rc == ZNONODE || (rc == ZNOAUTH && options_.whole);
    if (rc != ZOK && !gone) {
      throw error_for(rc, session_.subject()).during("marking the tree as whole");
    }
    set_late_acls([](const std::string&) { return true; });
    return result_;
  }

  void write_nodes(const std::function<std::optional<Znode>()>& next) {
    while (auto node = next()) {
      if (!take(*node)) continue;
      add(std::move(*node));
      while (under_way_.size() >= window || held_ > data_budget) step();
    }
    while (!under_way_.empty()) step();
  }

  void close_gates() {
    for (const std::string& gate : gates_) {
      session_.remove(gate, nullptr);
      const int rc = session_.wait_for_one().rc;
      if (rc == ZNOTEMPTY) {
        throw Error(Code::conflict, fmt::format("znode {}", gate), "a server registered meanwhile",
                    "stop it, wait for the end of its session, and run this again");
      }
      if (rc != ZOK && rc != ZNONODE) {
        throw error_for(rc, fmt::format("znode {}", gate)).during("closing the gates");
      }
    }
  }

  void open_gates() {
    const std::string marker = encode(Marker{options_.run, true});
    for (int tries = 0;; ++tries) {
      const int rc = session_.create_all_and_set(gate_nodes_, std::string(restore_marker), marker);
      if (rc == ZOK) break;
      if (rc == ZNODEEXISTS && tries > 0 && read_marker(session_)->gates_open) break;
      if (rc == ZNODEEXISTS) {
        throw Error(Code::conflict, session_.subject(),
                    "a server started on the tree before it was whole",
                    "stop it, wait for the end of its session, and run this again");
      }
      if (!is_transient(rc) || tries == max_tries) {
        throw error_for(rc, session_.subject()).during("opening the gates");
      }
      session_.wait_connected();
    }
    result_.created += gate_nodes_.size();
  }

  // True for a gate's ancestors: with their own ACL this session might not open the gate.
  bool holds_gate(const std::string& path) const {
    return path == "/" || std::any_of(gates_.begin(), gates_.end(), [&](const std::string& gate) {
             return gate.starts_with(path + "/");
           });
  }

  bool take(const Znode& node) {
    check_path(node.path);
    const std::string parent = node.path.substr(0, node.path.rfind('/'));
    const bool orphan = left_out_.contains(parent) || gates_.contains(parent);
    if (!orphan && node.path != restore_marker && (!options_.keep || options_.keep(node))) {
      return true;
    }
    left_out_.insert(node.path);
    result_.left_out += 1;
    return false;
  }

  void add(Znode node) {
    if (options_.change) {
      if (auto data = options_.change(node)) node.data = std::move(*data);
    }
    if (gates_.contains(node.path)) {
      gate_nodes_.push_back(std::move(node));
      return;
    }
    Write write{next_number_++, std::move(node)};
    held_ += write.node.data.size();
    if (options_.keep_version && options_.keep_version(write.node)) {
      versioned_.push_back(write.node);
    }
    auto& placed = under_way_.emplace(write.number, std::move(write)).first->second;
    start(placed);
  }

  void start(Write& write) {
    const bool root = write.node.path == "/";
    write.stage = root ? Write::Stage::comparing : Write::Stage::creating;
    if (root) {
      session_.get_data(write.node.path, &write);
    } else {
      session_.create(write.node.path, write.node.data,
                      write.node.acl == open_to_all ? open_to_all : early_acl_, &write);
    }
  }

  // Takes the answers that are there; after a lost connection, waits for all and goes on in order.
  void step() {
    for (const Reply& reply : session_.wait()) take_answer(reply);
    if (failed_.empty() || session_.outstanding() != 0) return;
    if (!connection_was_lost_) {
      throw Error(Code::corrupt, subject(*failed_.begin()->second),
                  "its parent is not in the tree that is to be restored");
    }
    session_.wait_connected();
    connection_was_lost_ = false;
    for (auto& [number, write] : std::exchange(failed_, {})) {
      if (++write->tries > max_tries) throw error_for(ZCONNECTIONLOSS, subject(*write));
      start(*write);
    }
  }

  void take_answer(const Reply& reply) {
    Write& write = *static_cast<Write*>(reply.token);
    if (is_transient(reply.rc) || reply.rc == ZNONODE) {
      // No parent: it may be one whose own answer was lost; the second try tells.
      connection_was_lost_ = connection_was_lost_ || is_transient(reply.rc);
      failed_.emplace(write.number, &write);
      return;
    }
    switch (write.stage) {
      case Write::Stage::creating:
        return created(write, reply);
      case Write::Stage::comparing:
        return compared(write, reply);
      default:
        if (reply.rc != ZOK) throw error_for(reply.rc, subject(write)).during("writing a znode");
        result_.overwritten += 1;
        return finish(write, true);
    }
  }

  void created(Write& write, const Reply& reply) {
    if (reply.rc == ZNODEEXISTS) {
      write.stage = Write::Stage::comparing;
      session_.get_data(write.node.path, &write);
      return;
    }
    if (reply.rc != ZOK) throw error_for(reply.rc, subject(write)).during("making a znode");
    result_.created += 1;
    finish(write, write.node.acl != open_to_all);
  }

  // It was there: made by this run before a crash, by a living server, or by somebody else.
  void compared(Write& write, const Reply& reply) {
    const bool may_overwrite = options_.overwrite || write.node.path == "/" ||
                               (options_.skeleton && options_.skeleton(write.node.path));
    if (reply.rc == ZNOAUTH && resumed_ && !may_overwrite) {
      result_.present += 1;  // its own ACL, set at the end of an earlier try, shuts us out
      return finish(write, false);
    }
    if (reply.rc != ZOK) throw error_for(reply.rc, subject(write)).during("comparing a znode");
    if (is_ephemeral(reply.stat)) {
      throw Error(Code::conflict, subject(write), "somebody holds an ephemeral node of this name");
    }
    if (reply.data == write.node.data) {
      result_.present += 1;
      return finish(write, true);
    }
    if (!may_overwrite) {
      throw Error(Code::conflict, subject(write), "holds other data than this restore gave it",
                  "somebody works on the tree: stop the brokers and other clients, empty "
                  "ZooKeeper, and restore again");
    }
    write.stage = Write::Stage::overwriting;
    session_.set_data(write.node.path, write.node.data, &write);
  }

  void finish(Write& write, bool acl_is_late) {
    if (acl_is_late) late_acls_.push_back({write.node.path, std::move(write.node.acl)});
    held_ -= write.node.data.size();
    under_way_.erase(write.number);
  }

  // Sets those that `now` takes; the others stay for later.
  void set_late_acls(const std::function<bool(const std::string& path)>& now) {
    const auto later = std::stable_partition(late_acls_.begin(), late_acls_.end(),
                                             [&](const LateAcl& late) { return now(late.path); });
    const auto count = static_cast<std::size_t>(later - late_acls_.begin());
    int tries = 0;
    for (std::size_t first = 0; first < count;) {
      const std::size_t end = std::min(first + window, count);
      for (std::size_t i = first; i < end; ++i) {
        session_.set_acl(late_acls_[i].path, late_acls_[i].acl, &late_acls_[i]);
      }
      if (!acls_lost()) {
        first = end;
        continue;
      }
      // The same ACLs a second time do no harm.
      if (++tries > max_tries) throw error_for(ZCONNECTIONLOSS, session_.subject());
      session_.wait_connected();
    }
    late_acls_.erase(late_acls_.begin(), later);
  }

  // Takes all answers; true when the connection was lost meanwhile.
  bool acls_lost() {
    bool lost = false;
    while (session_.outstanding() != 0) {
      for (const Reply& reply : session_.wait()) {
        const auto& late = *static_cast<const LateAcl*>(reply.token);
        if (is_transient(reply.rc)) {
          lost = true;
        } else if (reply.rc == ZNOAUTH && finishing_) {
          continue;  // set by an earlier try, it shuts us out
        } else if (reply.rc != ZOK) {
          throw error_for(reply.rc, "znode " + late.path).during("setting its ACL");
        }
      }
    }
    return lost;
  }

  static std::string subject(const Write& write) { return "znode " + write.node.path; }

  // Writes the data it has again until the counter is there.
  void raise_version(const Znode& node) {
    session_.get_data(node.path, nullptr);
    const Reply now = session_.wait_for_one();
    if (now.rc != ZOK) throw error_for(now.rc, "znode " + node.path).during("reading its version");
    const std::int64_t missing = std::int64_t{node.version} - now.stat.version;
    if (missing > max_version_writes) {
      throw Error(Code::unsupported, "znode " + node.path,
                  fmt::format("{} writes would be needed to reach its version", missing));
    }
    for (std::int64_t i = 0; i < missing; ++i) {
      session_.set_data(node.path, now.data, nullptr);
      const Reply reply = session_.wait_for_one();
      if (reply.rc != ZOK)
        throw error_for(reply.rc, "znode " + node.path).during("raising its version");
    }
  }

  Session& session_;
  const RestoreOptions& options_;
  const bool resumed_;
  bool finishing_ = false;
  const std::set<std::string> gates_;
  std::vector<Znode> gate_nodes_;
  const std::vector<Acl> early_acl_;
  std::uint64_t next_number_ = 0;
  std::map<std::uint64_t, Write> under_way_;  // answers point into it
  std::map<std::uint64_t, Write*> failed_;    // to be started again
  bool connection_was_lost_ = false;
  std::size_t held_ = 0;
  std::set<std::string> left_out_;
  std::vector<LateAcl> late_acls_;
  std::vector<Znode> versioned_;
  RestoreResult result_;
};

void make_chroot(const Config& config, const Cancel& cancel) {
  const ConnectString parsed = parse_connect_string(config.connect);
  if (parsed.chroot.empty()) return;
  Config whole = config;
  whole.connect = parsed.servers;
  Session session(whole, cancel);
  session.get_children(parsed.chroot, nullptr);
  if (session.wait_for_one().rc != ZNONODE) return;
  for (std::size_t at = 0; at != std::string::npos;) {
    at = parsed.chroot.find('/', at + 1);
    const std::string path = parsed.chroot.substr(0, at);
    session.create(path, "", open_to_all, nullptr);
    const int rc = session.wait_for_one().rc;
    if (rc != ZOK && rc != ZNODEEXISTS) throw error_for(rc, "znode " + path);
  }
}

// True when this run began earlier and goes on now.
bool may_begin(const TargetState& state, const RestoreOptions& options,
               const std::string& subject) {
  if (!options.gates.empty() && !state.ephemeral.empty()) {
    throw Error(Code::refused, subject,
                fmt::format("a living server is registered: {}", fmt::join(state.ephemeral, ", ")),
                "stop the servers that use it; then wait for the end of their sessions, or empty "
                "this ZooKeeper again");
  }
  if (state.unfinished_run == options.run) return true;
  if (options.overwrite) return false;
  if (state.unfinished_run) {
    throw Error(Code::refused, subject, "holds half of another restore, " + *state.unfinished_run,
                "finish that one, or empty this ZooKeeper first");
  }
  if (!state.empty) {
    throw Error(Code::refused, subject,
                fmt::format("is not empty: {}", fmt::join(state.found, ", ")),
                "restore into an empty ZooKeeper, or below another chroot");
  }
  return false;
}

void place_marker(Session& session, const RestoreOptions& options) {
  const std::string path(restore_marker);
  session.create(path, options.run, open_to_all, nullptr);
  int rc = session.wait_for_one().rc;
  if (rc == ZNODEEXISTS && options.overwrite) {
    session.set_data(path, options.run, nullptr);
    rc = session.wait_for_one().rc;
  }
  if (rc == ZNODEEXISTS) {
    throw Error(Code::refused, session.subject(), "another restore began at the same moment");
  }
  if (rc != ZOK) throw error_for(rc, "znode " + path).during("marking the tree as unfinished");
}

}  // namespace

RestoreResult restore_tree(const Config& config, const Cancel& cancel,
                           const std::function<std::optional<Znode>()>& next,
                           const RestoreOptions& options) {
  if (options.run.empty() || options.run.find_first_of(" \n") != std::string::npos) {
    throw Error(Code::usage, "restore id", "must be one word");
  }
  make_chroot(config, cancel);
  Session session(config, cancel);
  const auto marker = read_marker(session);
  if (options.whole || (marker && marker->run == options.run && marker->gates_open)) {
    return Restore(session, options, true).run_with_gates_open(next);
  }
  const TargetState state = look_at_target(session, config, options.skeleton);
  const bool resumed = may_begin(state, options, session.subject());
  if (!resumed) place_marker(session, options);
  return Restore(session, options, resumed).run(next);
}

}  // namespace lifeboat::zookeeper
