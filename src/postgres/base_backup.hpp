#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/connection.hpp"

namespace lifeboat::postgres {

// Takes a data directory, entry by entry, in the order in which the server sends it. Paths are
// relative ('/' between parts), as in the backup manifest: "base/5/1259",
// "pg_tblspc/16400/PG_15_202209061/5/16401". A directory comes before what is in it. One thread;
// what a sink throws ends the backup and comes out of take_base_backup(). A sink that blocks slows
// the server's stream down, no more.
class BackupSink {
 public:
  virtual ~BackupSink() = default;
  virtual void begin_directory(const std::string& path, int mode) = 0;
  // "pg_tblspc/<oid>" -> location on the server; comes before what is in the tablespace.
  virtual void symlink(const std::string& path, const std::string& target) = 0;
  // data() then comes in pieces of at most 1 MiB, `size` bytes altogether, then end_file().
  // "backup_manifest" comes last and its size is not known: begin_stream() instead.
  virtual void begin_file(const std::string& path, ByteCount size, int mode, Timestamp mtime) = 0;
  virtual void begin_stream(const std::string& path, int mode) = 0;
  virtual void data(std::string_view piece) = 0;
  virtual void end_file() = 0;
};

struct BackupOptions {
  std::string label = "lifeboat";
  bool fast_checkpoint = true;  // false: waits for the next regular checkpoint
};

struct Tablespace {
  std::uint32_t oid = 0;
  std::string location;
};

struct BackupResult {
  std::uint64_t system_identifier = 0;
  int server_version = 0;
  ByteCount wal_segment_size;
  // To start from this backup a server needs the WAL [segment_start(start_lsn), stop_lsn) of
  // start_timeline; whole segments are what it asks for.
  TimelineId start_timeline;
  Lsn start_lsn;
  TimelineId stop_timeline;
  Lsn stop_lsn;
  std::string backup_label;  // the text of the file
  std::vector<Tablespace> tablespaces;
  ByteCount bytes;  // of all files, without the manifest
  std::uint64_t files = 0;
};

// `total` is the server's estimate; it may turn out smaller than `done`.
struct BackupProgress {
  ByteCount done;
  ByteCount total;
};
using ProgressFunction = std::function<void(const BackupProgress&)>;

// BASE_BACKUP over the replication protocol (manual, chapter 55.4; PostgreSQL 15 and newer), with a
// manifest of SHA-256 checksums, without WAL: a WalReceiver must be archiving meanwhile. Memory is
// bounded by one CopyData message. Errors of Connection, and corrupt when the stream is not what
// the protocol says; then the sink holds a part of a backup that is good for nothing.
BackupResult take_base_backup(const Config& config, const BackupOptions& options, BackupSink& sink,
                              const Cancel& cancel, const ProgressFunction& progress = {});

}  // namespace lifeboat::postgres
