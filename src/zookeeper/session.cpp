#include "zookeeper/session.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"

namespace lifeboat::zookeeper {

// What the client's own threads hand over.
struct Session::Inbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Reply> replies;
  int state = 0;
  std::optional<int> auth_result;

  void push(Reply reply) {
    std::lock_guard lock(mutex);
    replies.push_back(std::move(reply));
    changed.notify_all();
  }
};

struct Session::Request {
  Inbox* inbox;
  Reply::Kind kind;
  void* token;

  // Completions own their Request: the client calls each exactly once.
  static Reply take(int rc, const void* context) {
    std::unique_ptr<const Request> request(static_cast<const Request*>(context));
    return Reply{request->kind, request->token, rc, {}, {}, {}, {}};
  }
  static Inbox& inbox_of(const void* context) {
    return *static_cast<const Request*>(context)->inbox;
  }
  static void on_void(int rc, const void* context) {
    Inbox& inbox = inbox_of(context);
    inbox.push(take(rc, context));
  }
  static void on_stat(int rc, const struct Stat*, const void* context) { on_void(rc, context); }
  static void on_string(int rc, const char*, const void* context) { on_void(rc, context); }
  static void on_data(int rc, const char* value, int length, const struct Stat* stat,
                      const void* context) {
    Inbox& inbox = inbox_of(context);
    Reply reply = take(rc, context);
    if (rc == ZOK) {
      if (value != nullptr && length > 0) reply.data.assign(value, static_cast<size_t>(length));
      reply.stat = *stat;
    }
    inbox.push(std::move(reply));
  }
  static void on_children(int rc, const struct String_vector* names, const struct Stat* stat,
                          const void* context) {
    Inbox& inbox = inbox_of(context);
    Reply reply = take(rc, context);
    if (rc == ZOK) {
      for (int i = 0; i < names->count; ++i) reply.children.emplace_back(names->data[i]);
      reply.stat = *stat;
    }
    inbox.push(std::move(reply));
  }
  static void on_acl(int rc, struct ACL_vector* acl, struct Stat* stat, const void* context) {
    Inbox& inbox = inbox_of(context);
    Reply reply = take(rc, context);
    if (rc == ZOK) {
      for (int i = 0; i < acl->count; ++i) {
        const struct ACL& entry = acl->data[i];
        reply.acl.push_back(Acl{entry.id.scheme, entry.id.id, entry.perms});
      }
      reply.stat = *stat;
    }
    inbox.push(std::move(reply));
  }
};

namespace {

void log_line(const char* line) {
  spdlog::debug("zookeeper client: {}", line);
}

// The C client wants char* in the ACLs that it only reads.
class AclVector {
 public:
  explicit AclVector(const std::vector<Acl>& acl) : source_(acl) {
    for (Acl& entry : source_) {
      entries_.push_back({entry.perms, {entry.scheme.data(), entry.id.data()}});
    }
    vector_ = {static_cast<std::int32_t>(entries_.size()), entries_.data()};
  }
  AclVector(const AclVector&) = delete;
  AclVector& operator=(const AclVector&) = delete;
  struct ACL_vector* get() { return &vector_; }

 private:
  std::vector<Acl> source_;
  std::vector<struct ACL> entries_;
  struct ACL_vector vector_{};
};

}  // namespace

ConnectString parse_connect_string(const std::string& connect) {
  const auto slash = connect.find('/');
  ConnectString parsed{connect.substr(0, slash), {}};
  if (slash != std::string::npos) parsed.chroot = connect.substr(slash);
  while (!parsed.chroot.empty() && parsed.chroot.back() == '/') parsed.chroot.pop_back();
  if (parsed.servers.empty() || parsed.servers.find_first_of(" \t\n") != std::string::npos) {
    throw Error(Code::config, "zookeeper " + connect, "is not a connect string",
                "write host:port,host:port and, where there is one, /chroot");
  }
  if (!parsed.chroot.empty()) check_path(parsed.chroot);
  return parsed;
}

bool is_ephemeral(const struct Stat& stat) {
  // The owner is a session id, but for containers (lowest value) and TTL nodes (highest byte 0xff).
  const auto owner = static_cast<std::uint64_t>(stat.ephemeralOwner);
  return owner != 0 && owner != (1ull << 63) && (owner >> 56) != 0xff;
}

bool is_transient(int rc) {
  return rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT;
}

Error error_for(int rc, const std::string& subject) {
  switch (rc) {
    case ZNOAUTH:
      return Error(Code::denied, subject, "ZooKeeper does not allow it",
                   "give an auth entry that has the permission, or ZooKeeper's superuser");
    case ZINVALIDACL:
      return Error(Code::failed, subject, "ZooKeeper does not take its ACL",
                   "the target must know the ACL's scheme (sasl, x509) as the source did");
    case ZAUTHFAILED:
      return Error(Code::denied, subject, "ZooKeeper refused the authentication");
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZINVALIDSTATE:
    case ZCLOSING:
      return Error(Code::unavailable, subject, std::string("ZooKeeper went away: ") + zerror(rc));
    default:
      return Error(Code::failed, subject, std::string("ZooKeeper answered: ") + zerror(rc));
  }
}

void Session::on_session_event(zhandle_t*, int type, int state, const char*, void* context) {
  if (type != ZOO_SESSION_EVENT) return;
  auto* inbox = static_cast<Inbox*>(context);
  std::lock_guard lock(inbox->mutex);
  inbox->state = state;
  inbox->changed.notify_all();
}

Session::Session(const Config& config, const Cancel& cancel)
    : subject_("zookeeper " + config.connect),
      connect_timeout_(config.connect_timeout),
      has_auth_(!config.auth.empty()),
      cancel_(cancel),
      inbox_(std::make_unique<Inbox>()) {
  const ConnectString parsed = parse_connect_string(config.connect);
  zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
  const std::string connect = parsed.servers + parsed.chroot;
  handle_ = zookeeper_init2(connect.c_str(), &Session::on_session_event,
                            static_cast<int>(config.session_timeout.count()), nullptr, inbox_.get(),
                            0, &log_line);
  if (handle_ == nullptr) {
    throw Error(Code::unavailable, subject_,
                "the servers' addresses cannot be used: " + std::string(std::strerror(errno)));
  }
  // By default the client looks the servers' names up anew for each packet.
  zoo_set_servers_resolution_delay(handle_, 1000);
  try {
    wait_connected();
    authenticate(config);
  } catch (...) {
    zookeeper_close(handle_);
    throw;
  }
}

Session::~Session() {
  zookeeper_close(handle_);
}

void Session::wait_connected() {
  const Deadline deadline = Deadline::after(connect_timeout_);
  std::unique_lock lock(inbox_->mutex);
  while (inbox_->state != ZOO_CONNECTED_STATE) {
    if (inbox_->state == ZOO_AUTH_FAILED_STATE) throw error_for(ZAUTHFAILED, subject_);
    if (inbox_->state == ZOO_EXPIRED_SESSION_STATE) throw error_for(ZSESSIONEXPIRED, subject_);
    if (deadline.passed()) {
      throw Error(Code::unavailable, subject_,
                  fmt::format("no connection within {} ms", connect_timeout_.count()),
                  "is ZooKeeper running, and is the address right?");
    }
    cancel_.check();
    inbox_->changed.wait_for(lock, Millis(50));
  }
}

void Session::authenticate(const Config& config) {
  auto done = [](int rc, const void* context) {
    auto* inbox = static_cast<Inbox*>(const_cast<void*>(context));
    std::lock_guard lock(inbox->mutex);
    inbox->auth_result = rc;
    inbox->changed.notify_all();
  };
  for (const AuthEntry& entry : config.auth) {
    inbox_->auth_result.reset();
    int rc = zoo_add_auth(handle_, entry.scheme.c_str(), entry.credential.data(),
                          static_cast<int>(entry.credential.size()), done, inbox_.get());
    const Deadline deadline = Deadline::after(connect_timeout_);
    std::unique_lock lock(inbox_->mutex);
    while (rc == ZOK && !inbox_->auth_result) {
      if (deadline.passed()) throw error_for(ZOPERATIONTIMEOUT, subject_);
      cancel_.check();
      inbox_->changed.wait_for(lock, Millis(50));
    }
    if (rc == ZOK) rc = *inbox_->auth_result;
    if (rc != ZOK) throw error_for(rc, subject_).during("authenticating by " + entry.scheme);
  }
}

template <typename Send>
void Session::send(Reply::Kind kind, void* token, Send send_request) {
  auto request = std::make_unique<Request>(Request{inbox_.get(), kind, token});
  ++outstanding_;
  const int rc = send_request(request.get());
  if (rc == ZOK) {
    request.release();  // the completion owns it
  } else {
    inbox_->push(Reply{kind, token, rc, {}, {}, {}, {}});
  }
}

void Session::get_children(const std::string& path, void* token) {
  send(Reply::Kind::children, token, [&](Request* r) {
    return zoo_aget_children2(handle_, path.c_str(), 0, &Request::on_children, r);
  });
}

void Session::get_data(const std::string& path, void* token) {
  send(Reply::Kind::data, token,
       [&](Request* r) { return zoo_aget(handle_, path.c_str(), 0, &Request::on_data, r); });
}

void Session::get_acl(const std::string& path, void* token) {
  send(Reply::Kind::acl, token,
       [&](Request* r) { return zoo_aget_acl(handle_, path.c_str(), &Request::on_acl, r); });
}

void Session::create(const std::string& path, std::string_view data, const std::vector<Acl>& acl,
                     void* token) {
  AclVector vector(acl);
  send(Reply::Kind::create, token, [&](Request* r) {
    return zoo_acreate(handle_, path.c_str(), data.data(), static_cast<int>(data.size()),
                       vector.get(), ZOO_PERSISTENT, &Request::on_string, r);
  });
}

void Session::set_data(const std::string& path, std::string_view data, void* token) {
  send(Reply::Kind::set, token, [&](Request* r) {
    return zoo_aset(handle_, path.c_str(), data.data(), static_cast<int>(data.size()), -1,
                    &Request::on_stat, r);
  });
}

void Session::set_acl(const std::string& path, const std::vector<Acl>& acl, void* token) {
  AclVector vector(acl);
  send(Reply::Kind::set_acl, token, [&](Request* r) {
    return zoo_aset_acl(handle_, path.c_str(), -1, vector.get(), &Request::on_void, r);
  });
}

void Session::remove(const std::string& path, void* token) {
  send(Reply::Kind::remove, token,
       [&](Request* r) { return zoo_adelete(handle_, path.c_str(), -1, &Request::on_void, r); });
}

int Session::create_all_and_set(const std::vector<Znode>& nodes, const std::string& path,
                                const std::string& data) {
  std::deque<AclVector> acls;  // the operations point into it
  std::vector<zoo_op_t> operations(nodes.size() + 1);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    zoo_create_op_init(&operations[i], nodes[i].path.c_str(), nodes[i].data.data(),
                       static_cast<int>(nodes[i].data.size()),
                       acls.emplace_back(nodes[i].acl).get(), ZOO_PERSISTENT, nullptr, 0);
  }
  zoo_set_op_init(&operations.back(), path.c_str(), data.data(), static_cast<int>(data.size()), -1,
                  nullptr);
  std::vector<zoo_op_result_t> results(operations.size());
  return zoo_multi(handle_, static_cast<int>(operations.size()), operations.data(), results.data());
}

std::deque<Reply> Session::wait() {
  std::unique_lock lock(inbox_->mutex);
  while (inbox_->replies.empty()) {
    cancel_.check();
    inbox_->changed.wait_for(lock, Millis(50));
  }
  outstanding_ -= inbox_->replies.size();
  return std::exchange(inbox_->replies, {});
}

Reply Session::wait_for_one() {
  return std::move(wait().front());
}

std::optional<Zxid> Session::last_zxid() const {
  struct sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<struct sockaddr*>(&address);
  if (zookeeper_get_connected_host(handle_, generic, &length) == nullptr) return std::nullopt;
  Fd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const struct timeval limit{2, 0};
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
      ::connect(fd.get(), generic, length) != 0 || ::send(fd.get(), "srvr", 4, MSG_NOSIGNAL) != 4) {
    return std::nullopt;
  }
  std::string answer(16'384, '\0');
  std::size_t size = 0;
  while (size < answer.size()) {
    const ssize_t got = ::recv(fd.get(), answer.data() + size, answer.size() - size, 0);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  answer.resize(size);
  const auto at = answer.find("Zxid: 0x");
  if (at == std::string::npos) return std::nullopt;
  return Zxid(static_cast<std::int64_t>(std::strtoull(answer.c_str() + at + 6, nullptr, 16)));
}

}  // namespace lifeboat::zookeeper
