#pragma once

#include <zookeeper/zookeeper.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {

// The answer to one asynchronous request; `token` is the asker's.
struct Reply {
  enum class Kind { children, data, acl, create, set, set_acl, remove };
  Kind kind;
  void* token;
  int rc;  // ZOK or ZOO_ERRORS
  struct Stat stat{};
  std::string data;
  std::vector<std::string> children;
  std::vector<Acl> acl;
};

// "host:port,…" and the chroot ("" or "/a/b") of a connect string. Error(config).
struct ConnectString {
  std::string servers;
  std::string chroot;
};
ConnectString parse_connect_string(const std::string& connect);

// One connection, as ZooKeeper's C client keeps it. Requests are sent in the order of the calls and
// done by the server in that order; each gets exactly one Reply, also when the connection is lost.
// For one thread at a time.
class Session {
 public:
  // Connects and authenticates. Error(unavailable), Error(denied), Error(config), Error(cancelled).
  Session(const Config& config, const Cancel& cancel);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void get_children(const std::string& path, void* token);
  void get_data(const std::string& path, void* token);
  void get_acl(const std::string& path, void* token);
  void create(const std::string& path, std::string_view data, const std::vector<Acl>& acl,
              void* token);
  void set_data(const std::string& path, std::string_view data, void* token);
  void set_acl(const std::string& path, const std::vector<Acl>& acl, void* token);
  void remove(const std::string& path, void* token);

  // Makes all nodes and sets the data of `path`, or does nothing: one transaction. Waits; gives ZOK
  // or why not. After a lost connection it may have been done all the same.
  int create_all_and_set(const std::vector<Znode>& nodes, const std::string& path,
                         const std::string& data);

  std::size_t outstanding() const { return outstanding_; }
  // All answers that are there, at least one; requires outstanding() > 0. Error(cancelled).
  std::deque<Reply> wait();
  // The answer to the only request under way.
  Reply wait_for_one();
  // Waits until the client is connected again. Error(unavailable), Error(cancelled).
  void wait_connected();
  // The server's last zxid by its `srvr` command; nullopt when it does not answer that.
  std::optional<Zxid> last_zxid() const;

  // The client itself, for what has no call here.
  zhandle_t* raw() const { return handle_; }
  const std::string& subject() const { return subject_; }
  bool has_auth() const { return has_auth_; }

 private:
  struct Inbox;
  struct Request;
  static void on_session_event(zhandle_t*, int type, int state, const char* path, void* context);
  template <typename Send>
  void send(Reply::Kind kind, void* token, Send send);
  void authenticate(const Config& config);

  std::string subject_;
  Millis connect_timeout_;
  bool has_auth_ = false;
  const Cancel& cancel_;
  std::unique_ptr<Inbox> inbox_;
  std::size_t outstanding_ = 0;
  zhandle_t* handle_ = nullptr;
};

// True when the node lives no longer than a session; container and TTL nodes do not.
bool is_ephemeral(const struct Stat& stat);
// True when a request that failed so may be sent again on the same session.
bool is_transient(int rc);
// The Error for an answer that is neither ZOK nor expected.
Error error_for(int rc, const std::string& subject);

// What restore_marker holds.
struct Marker {
  std::string run;
  bool gates_open = false;  // all nodes are there; ACLs may be missing
};
std::string encode(const Marker& marker);
std::optional<Marker> read_marker(Session& session);

// target_state() over a session that is there already.
TargetState look_at_target(Session& session, const Config& config, const Skeleton& skeleton);

}  // namespace lifeboat::zookeeper
