#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/types.hpp"

// The znode tree of a ZooKeeper ensemble: read it, keep it as a file, put it back.
// Protocol: ZooKeeper Programmer's Guide, by ZooKeeper's own C client (zookeeper_mt).
namespace lifeboat::zookeeper {

// ZooKeeper transaction id: the position of a change in the ensemble's order.
using Zxid = Strong<struct ZxidTag, std::int64_t>;

// Largest node that is read, kept or written; above it Error(unsupported/corrupt). ZooKeeper's own
// default limit (jute.maxbuffer) is 1 MiB.
inline constexpr std::size_t max_node_bytes = 16u << 20;

// The znode that marks an unfinished restore, at the root of the tree. Never part of a dump.
inline constexpr std::string_view restore_marker = "/lifeboat-restore";

struct AuthEntry {
  std::string scheme;      // "digest"
  std::string credential;  // "user:password"
};

struct Config {
  std::string connect;  // "host:port,host:port/chroot"; the chroot is optional
  std::vector<AuthEntry> auth;
  Millis session_timeout{15'000};
  Millis connect_timeout{15'000};
};

struct Acl {
  std::string scheme;  // world, auth, digest, ip, sasl, x509
  std::string id;      // for digest: "user:" and the base64 of its SHA-1, as ZooKeeper stores it
  std::int32_t perms = 0;  // ZOO_PERM_*: 1 read, 2 write, 4 create, 8 delete, 16 admin
  friend bool operator==(const Acl&, const Acl&) = default;
};

// A node that outlives its session. Container and TTL nodes are taken as persistent ones: a restore
// makes them persistent. Paths begin with '/', are below the chroot, and the root itself is "/".
struct Znode {
  std::string path;
  std::string data;
  std::vector<Acl> acl;
  Zxid created;   // czxid
  Zxid modified;  // mzxid
  std::int32_t version = 0;
  friend bool operator==(const Znode&, const Znode&) = default;
};

// Error(corrupt) unless it is a path that ZooKeeper would take.
void check_path(std::string_view path);

// One line of JSON with its '\n'; data in base64. decode() takes the line with or without '\n' and
// checks everything: the bytes may be hostile. Error(corrupt).
std::string encode(const Znode& node);
Znode decode(std::string_view line);

// Cuts a stream of encoded nodes, given in pieces of any size, into nodes. One thread at a time.
class TreeDecoder {
 public:
  void feed(std::string_view bytes);
  std::optional<Znode> next();  // nullopt: feed more
  void finish() const;          // Error(corrupt) when the stream ended within a line

 private:
  std::string bytes_;
  std::size_t at_ = 0;
  std::size_t searched_ = 0;
};

struct DumpResult {
  std::uint64_t nodes = 0;
  ByteCount bytes;  // of node data
  // The server's last zxid before and after the walk, by its `srvr` command; nullopt where that is
  // switched off. Changes within the range may or may not be in the dump: the walk is not atomic.
  std::optional<Zxid> start;
  std::optional<Zxid> end;
  Zxid newest;  // largest czxid or mzxid that was seen
};

// Reads the whole tree and calls `visit` on the calling thread: depth first, parents before
// children, siblings in order of their names. Ephemeral nodes, /zookeeper and restore_marker are
// left out; nodes that vanish meanwhile are left out too. Requests are pipelined: 100,000 nodes
// take seconds; at most about 32 MiB of data is held. What `visit` throws passes through.
// Error(unavailable): no server, or it went away. Error(denied): names the first node whose data or
// ACL may not be read (ZooKeeper hides digests from clients without ADMIN: that is denied as well).
DumpResult dump_tree(const Config& config, const Cancel& cancel,
                     const std::function<void(const Znode&)>& visit);

// True for a path that a living server makes by itself on an empty ensemble: it does not count as
// content, and a restore may overwrite it. See kafka_skeleton() in kafka_nodes.hpp.
using Skeleton = std::function<bool(std::string_view path)>;

struct TargetState {
  bool reachable = false;
  bool empty = false;                  // reachable, and nothing but skeleton nodes
  std::vector<std::string> found;      // the first few paths that are content
  std::vector<std::string> ephemeral;  // the first few ephemeral nodes: somebody is connected
  std::optional<std::string> unfinished_run;  // a restore that began here and did not finish
  std::string reason;                         // why it is not reachable
};
TargetState target_state(const Config& config, const Cancel& cancel, const Skeleton& skeleton = {});

struct RestoreOptions {
  // Names this restore. The same id again goes on after a crash; another id is refused while an
  // unfinished one is there.
  std::string run;
  std::function<bool(const Znode&)> keep;  // empty: every node
  // New data for a node, nullopt: as it is. Must be the same each time for one run.
  std::function<std::optional<std::string>(const Znode&)> change;
  // Nodes whose version counter itself is state (Kafka's /brokers/seqid): it is raised to the kept
  // one by writing. All others begin at version 0.
  std::function<bool(const Znode&)> keep_version;
  // Nodes without which nobody can start to work on the tree: taken away first, where they are
  // there and empty, and made last, all in one transaction. See kafka_gates().
  std::vector<std::string> gates;
  Skeleton skeleton;
  bool overwrite = false;  // write over a tree that is not empty; nothing is deleted
  // The tree is whole: called before restore_marker is deleted, which ends all knowledge of this
  // run here. Who remembers it says `whole` when the same run comes again, to finish.
  std::function<void()> on_whole;
  bool whole = false;
};

struct RestoreResult {
  std::uint64_t created = 0;
  std::uint64_t overwritten = 0;  // nodes that were there with other data or ACL
  std::uint64_t present = 0;      // nodes that were there already, alike
  std::uint64_t left_out = 0;     // by `keep`, or because their parent was left out
};

// Writes the nodes that `next` gives (parents before children, nullopt at the end) into an empty
// tree, pipelined. First restore_marker is made, last it is deleted: while it exists the tree is
// not whole. A chroot that does not exist is made.
// ACLs: a node that everybody may change is made with its own at once; any other gets its own after
// all nodes are there (until then: the `auth` of this session, or world when there is none).
// Error(refused), nothing touched: not empty, an unfinished run of another id, or, where there are
// gates, somebody holds an ephemeral node (a living server): names what is there. Error(conflict):
// somebody worked on the tree meanwhile; once they are stopped, the same run goes on.
// Error(denied): names the node.
RestoreResult restore_tree(const Config& config, const Cancel& cancel,
                           const std::function<std::optional<Znode>()>& next,
                           const RestoreOptions& options);

}  // namespace lifeboat::zookeeper
