#include <algorithm>
#include <list>
#include <utility>

#include "base/error.hpp"
#include "zookeeper/session.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {

namespace {

constexpr std::size_t window = 256;             // nodes that are asked about at once
constexpr std::size_t data_budget = 32u << 20;  // bytes of data asked for and not yet given out
constexpr int max_tries = 5;                    // of one node, when the connection is lost

// One node on its way from a name to a Znode.
struct Step {
  enum class Stage { named, asked, known, data_asked, ready, gone };
  Znode node;
  Stage stage = Stage::named;
  int open = 0;        // answers that are still to come
  bool again = false;  // the connection was lost meanwhile: ask again
  int tries = 0;
  std::size_t held = 0;  // its share of data_budget
  std::vector<std::string> children;
  struct Stat stat{};
};

// ZooKeeper shows "user:x" to clients without ADMIN on the node.
bool is_masked(const Acl& acl) {
  return acl.scheme == "digest" && acl.id.ends_with(":x");
}

// The walk: `order_` holds what is not yet given out, in depth-first order; the first `window` of
// it is asked about ahead. When the front is given out, its children take its place.
class Walk {
 public:
  Walk(Session& session, bool at_true_root, const std::function<void(const Znode&)>& visit)
      : session_(session), at_true_root_(at_true_root), visit_(visit) {}

  DumpResult run() {
    order_.emplace_back().node.path = std::string(1, '/');
    while (!order_.empty()) {
      while (is_done(order_.front())) {
        give_out_front();
        if (order_.empty()) return result_;
      }
      ask_ahead();
      for (Reply& reply : session_.wait()) take(std::move(reply));
    }
    return result_;
  }

 private:
  static bool is_done(const Step& step) {
    return step.open == 0 && (step.stage == Step::Stage::ready || step.stage == Step::Stage::gone);
  }

  void give_out_front() {
    Step& step = order_.front();
    if (step.stage == Step::Stage::ready) {
      result_.nodes += 1;
      result_.bytes = result_.bytes + step.node.data.size();
      result_.newest = std::max({result_.newest, step.node.created, step.node.modified});
      visit_(step.node);
      insert_children(step);
    }
    held_ -= step.held;
    order_.pop_front();
  }

  void insert_children(Step& step) {
    std::sort(step.children.begin(), step.children.end());
    std::string base = step.node.path;
    if (base != "/") base += '/';
    const auto after = std::next(order_.begin());
    for (const std::string& name : step.children) {
      std::string path = base + name;
      if (path == restore_marker || (at_true_root_ && path == "/zookeeper")) continue;
      check_path(path);
      order_.emplace(after)->node.path = std::move(path);
    }
  }

  void ask_ahead() {
    std::size_t looked_at = 0;
    for (Step& step : order_) {
      if (looked_at++ == window) break;
      if (step.open == 0 && step.again) start_again(step);
      if (step.stage == Step::Stage::named) ask_about(step);
      if (step.stage == Step::Stage::known && step.open == 0) ask_for_data(step);
    }
  }

  void start_again(Step& step) {
    if (++step.tries > max_tries) throw error_for(ZCONNECTIONLOSS, subject(step));
    session_.wait_connected();
    held_ -= std::exchange(step.held, 0);
    step.again = false;
    step.stage = Step::Stage::named;
  }

  void ask_about(Step& step) {
    step.stage = Step::Stage::asked;
    step.open = 2;
    session_.get_children(step.node.path, &step);
    session_.get_acl(step.node.path, &step);
  }

  // The front may always go on, so that the walk cannot stand still for want of budget.
  void ask_for_data(Step& step) {
    const auto size = static_cast<std::size_t>(std::max(step.stat.dataLength, 0));
    if (size > max_node_bytes) {
      throw Error(Code::unsupported, subject(step),
                  fmt::format("holds {} bytes; at most {} can be kept", size, max_node_bytes));
    }
    if (&step != &order_.front() && held_ + size > data_budget) return;
    step.held = size;
    held_ += size;
    step.stage = Step::Stage::data_asked;
    step.open = 1;
    session_.get_data(step.node.path, &step);
  }

  void take(Reply reply) {
    Step& step = *static_cast<Step*>(reply.token);
    --step.open;
    if (reply.rc == ZNONODE) {
      if (step.node.path == "/") {
        throw Error(Code::not_found, session_.subject(), "the chroot does not exist");
      }
      step.stage = Step::Stage::gone;  // deleted meanwhile
      return;
    }
    if (step.stage == Step::Stage::gone) return;
    if (is_transient(reply.rc)) {
      step.again = true;
      return;
    }
    if (reply.rc != ZOK) throw error_for(reply.rc, subject(step)).during("reading the znode tree");
    accept(step, std::move(reply));
  }

  void accept(Step& step, Reply reply) {
    switch (reply.kind) {
      case Reply::Kind::children:
        step.children = std::move(reply.children);
        step.stat = reply.stat;
        break;
      case Reply::Kind::acl:
        step.node.acl = std::move(reply.acl);
        break;
      default:
        step.stat = reply.stat;
        step.node.data = std::move(reply.data);
        break;
    }
    if (step.open == 0 && !step.again) advance(step);
  }

  void advance(Step& step) {
    if (is_ephemeral(step.stat)) {
      step.stage = Step::Stage::gone;
      return;
    }
    check_acl(step);
    if (step.stage == Step::Stage::asked && step.stat.dataLength > 0) {
      step.stage = Step::Stage::known;
      return;
    }
    step.node.created = Zxid(step.stat.czxid);
    step.node.modified = Zxid(step.stat.mzxid);
    step.node.version = step.stat.version;
    step.stage = Step::Stage::ready;
  }

  static void check_acl(const Step& step) {
    const std::vector<Acl>& acl = step.node.acl;
    if (std::any_of(acl.begin(), acl.end(), is_masked)) {
      throw Error(Code::denied, subject(step), "ZooKeeper hides the digests of its ACL",
                  "give an auth entry with the ADMIN permission, or ZooKeeper's superuser");
    }
  }

  static std::string subject(const Step& step) { return fmt::format("znode {}", step.node.path); }

  Session& session_;
  const bool at_true_root_;
  const std::function<void(const Znode&)>& visit_;
  std::list<Step> order_;  // answers point into it
  std::size_t held_ = 0;
  DumpResult result_;
};

}  // namespace

DumpResult dump_tree(const Config& config, const Cancel& cancel,
                     const std::function<void(const Znode&)>& visit) {
  Session session(config, cancel);
  const auto start = session.last_zxid();
  DumpResult result =
      Walk(session, parse_connect_string(config.connect).chroot.empty(), visit).run();
  result.start = start;
  result.end = session.last_zxid();
  return result;
}

}  // namespace lifeboat::zookeeper
