#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "recovery/context.hpp"

namespace lifeboat::recovery {

// One log as the archiver sees it, for status and metrics.
struct ArchivedLog {
  std::string name;     // as in `logbook ls`
  Position received;    // handed over by the source
  Position durable;     // in the vault
  Position source_end;  // where the source's log ends (high watermark, end of WAL)
};

struct ArchiveStatus {
  std::vector<ArchivedLog> logs;
  std::string postgres_error;              // empty while WAL streams
  std::string group_error;                 // empty while in kafka.archiver_group, or without one
  std::optional<std::string> vault_error;  // the store's last error while it is tried again
  ByteCount written;                       // stored by this archiver…
  std::uint64_t objects = 0;               // …in so many objects of the logbook
};

enum class Archive { all, kafka_only };

// Copies the logs of the stack into the logbook: Kafka's partitions and the positions of its
// groups, PostgreSQL's WAL and timeline history. The server is told that WAL is flushed only when
// it is durable in the vault. Servers that go away are waited for; a vault that fails is tried
// again and nothing is dropped. Threads of its own.
class Archiver {
 public:
  // Starts at once. The vault's store, and what the context refers to, must outlive it.
  Archiver(const Context& context, vault::Vault vault, Archive what = Archive::all);
  ~Archiver();  // stop() without throwing

  // Throws what ended one of its threads (corrupt or unsupported data, the vault refused for good).
  void check() const;
  // Makes all durable that was received so far.
  void flush();
  ArchiveStatus status() const;
  // Ends the threads, flushes, closes. Throws as check() does.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Held while an archiver of this machine runs with this lifeboat.yaml: `run`, or a `backup` that
// archives for itself. nullopt: somebody else holds it.
class ArchiverLock {
 public:
  static std::optional<ArchiverLock> take(const Config& config);
  // Another lock, which only `run` takes: there is one daemon, and it may wait for a `backup`.
  static std::optional<ArchiverLock> take_daemon(const Config& config);

 private:
  explicit ArchiverLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace lifeboat::recovery
