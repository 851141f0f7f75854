#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "clickhouse/client.hpp"
#include "clickhouse/schema.hpp"

namespace lifeboat::clickhouse {

// Where BACKUP writes: Disk('disk', '<name>') on the server. `path` is the same folder as Lifeboat
// sees it (same machine or a shared mount); empty when it cannot be seen.
struct BackupPlace {
  std::string disk;
  std::filesystem::path path;
};

// Every backup of Lifeboat's has a name with this prefix; nothing else is ever removed.
inline constexpr std::string_view kBackupPrefix = "lifeboat-";

// Starts BACKUP TABLE ... TO Disk(...) ASYNC and returns its id (= `name`). `name` must begin with
// kBackupPrefix, hold only [A-Za-z0-9_-] and be fresh for each attempt: a crash in BACKUP leaves a
// lock that blocks its destination for ever.
std::string start_backup(Client& client, const BackupPlace& place, const std::string& name,
                         const std::vector<TableRef>& tables);

// One row of system.backups, which lives in the server's memory only.
struct BackupStatus {
  enum class State { running, done, failed, cancelled };
  State state = State::running;
  std::string status;  // as the server calls it: CREATING_BACKUP, BACKUP_CREATED, RESTORED…
  std::uint64_t num_files = 0;
  ByteCount total_size{};  // of all files of the backup
  ByteCount bytes_read{};  // restore: bytes read so far
  std::string error;       // first line, empty unless failed
};
// nullopt: the server does not know it (never started, or the server was restarted since).
std::optional<BackupStatus> backup_status(Client& client, const std::string& id);

// Returns when the parts of all tables are collected: rows that arrive from now on are not in the
// backup, rows that were there are. A backup that is done is pinned too. Errors as wait_finished.
void wait_pinned(Client& client, const std::string& id, const Deadline& deadline,
                 const Cancel& cancel);

using BackupProgress = std::function<void(const BackupStatus&)>;
// Waits until the backup (or restore) is done. Error(failed) with the server's words when it
// failed, no_space when its disk was full, unavailable when the server no longer knows the id,
// cancelled on request (the operation goes on: kill_backup() it).
BackupStatus wait_finished(Client& client, const std::string& id, const Cancel& cancel,
                           const BackupProgress& progress = {});

// Ends a backup or restore that runs, and waits until it no longer runs. False: it did not run.
bool kill_backup(Client& client, const std::string& id, const Deadline& deadline);

// A file of a finished backup as its `.backup` lists it.
struct BackupFile {
  std::string name;  // relative, '/'-separated, no "..": "data/db/t/all_1_1_0/data.bin"
  ByteCount size{};
  std::string checksum;   // 32 hex digits (ClickHouse's CityHash128), empty for an empty file
  std::string data_file;  // under which name the bytes lie; another file's when deduplicated
};

// The files of a finished backup, read from place.path. Streams: memory does not grow with the
// number of files.
class BackupFiles {
 public:
  // Error(not_found) when there is no `.backup` (unfinished: not valid), Error(usage) without a
  // path.
  BackupFiles(const BackupPlace& place, const std::string& name);

  // Calls for each file that is listed. Error(corrupt) for XML that is torn, a name that leaves the
  // folder, or a size that is not a number; Error(unsupported) for an increment or another version.
  void for_each(const std::function<void(const BackupFile&)>& take) const;
  // The files that lie on the disk, each once, with `.backup` as the last one (written last by the
  // copier as well: it makes the folder valid). Checks that each is there with its size.
  void for_each_stored(
      const std::function<void(const std::string& name, ByteCount size)>& take) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// Pure: parses a `.backup` document given in pieces by `read` (empty = end).
void parse_backup_xml(const std::function<std::string()>& read, const std::string& subject,
                      const std::function<void(const BackupFile&)>& take);

// Folders in place.path that begin with kBackupPrefix.
std::vector<std::string> finished_backups(const BackupPlace& place);
std::vector<std::string> unfinished_backups(const BackupPlace& place);
// Removes such a folder, durable mark first (`.backup` goes first, so that a half-removed one is
// not valid). Error(usage) for a foreign name.
void remove_backup(const BackupPlace& place, const std::string& name);

// The folder of a disk on the server's machine (system.disks); not_found names the disks there are.
std::filesystem::path disk_path(Client& client, const std::string& disk);

}  // namespace lifeboat::clickhouse
