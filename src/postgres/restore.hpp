#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "postgres/base_backup.hpp"

namespace lifeboat::postgres {

enum class DirectoryState {
  absent,
  empty,
  unfinished,  // a DataDirectoryWriter began here and did not finish
  occupied,    // holds files, maybe a cluster
  running,     // a postmaster runs on it
};
DirectoryState directory_state(const std::filesystem::path& directory);

struct WriterOptions {
  std::string os_user;  // owner of everything written, when run as root; "" leaves it
  // Where tablespaces go, by oid; others go where they were on the server.
  std::map<std::uint32_t, std::filesystem::path> tablespaces;
};

// A user and group of this machine, by number.
struct Owner {
  unsigned uid = 0;
  unsigned gid = 0;
};
// Whom to give what is written to; nullopt: nobody (no name, or it is us). Error(config) for an
// unknown name, Error(refused) when we are neither root nor that user.
std::optional<Owner> find_owner(const std::string& os_user);

// A file of a data directory that is being written.
class DataFileWriter {
 public:
  // Error(corrupt) when more comes than was told.
  void data(std::string_view piece);
  // Error(corrupt) when less came than was told.
  void end();

 private:
  friend class DataDirectoryWriter;
  DataFileWriter(Fd file, std::string path, std::optional<ByteCount> expected);

  Fd file_;
  std::string path_;
  std::optional<ByteCount> expected_;
  ByteCount written_;
};

// Writes a data directory. Takes a directory that is absent (its parent must exist), empty or
// unfinished (emptied first); Error(refused) for another, and nothing is touched. The same for each
// tablespace's directory, which must not be one that it writes to already, or lie above or in one.
// A link to the data directory is followed, one to a tablespace's is refused. Modes are 0700 and
// 0600. A path that leaves the directory is Error(corrupt). A crash leaves the state `unfinished`.
class DataDirectoryWriter : public BackupSink {
 public:
  DataDirectoryWriter(const std::filesystem::path& directory, WriterOptions options);

  void begin_directory(const std::string& path, int mode) override;
  void symlink(const std::string& path, const std::string& target) override;
  void begin_file(const std::string& path, ByteCount size, int mode, Timestamp mtime) override;
  void begin_stream(const std::string& path, int mode) override;
  void data(std::string_view piece) override;
  void end_file() override;

  // Beside the file begun, if any; several may be written at the same time, by several threads.
  // nullopt: the size is not known. Its directory must be there.
  DataFileWriter open(const std::string& path, std::optional<ByteCount> size) const;

  // Everything durable (fsync of each file and directory), the mark of an unfinished one removed.
  void finish();

 private:
  std::filesystem::path place(const std::string& path) const;
  void claim(const std::filesystem::path& directory);
  void refuse_overlap(const std::filesystem::path& directory, DirectoryState state) const;

  std::optional<Owner> owner_;  // before directory_, as claiming it needs it
  std::filesystem::path directory_;
  WriterOptions options_;
  std::vector<std::filesystem::path> roots_;  // the data directory and the tablespaces' ones
  std::optional<DataFileWriter> begun_;
};

struct RecoveryTarget {
  std::string restore_command;           // see make_restore_command()
  std::optional<Timestamp> target_time;  // nullopt: to the end of the WAL
};

// A restore_command for a shell: each argument quoted; "%f" and "%p" stand for the name asked for
// and the path to write, alone or as arguments of their own.
std::string make_restore_command(const std::vector<std::string>& arguments);

// recovery.signal, and the settings at the end of postgresql.auto.conf (timeline 'latest', action
// 'promote'); recovery settings of before are removed or overruled. Durable. `os_user` as above.
void write_recovery_settings(const std::filesystem::path& directory, const RecoveryTarget& target,
                             const std::string& os_user = {});

// Until pg_is_in_recovery() is false, and the recovery that write_recovery_settings() asked for has
// ended in this directory: then the server removes recovery.signal (manual, chapter 26.3.4). A
// server that is not up yet is waited for, and while another one answers; a wrong password is not.
// Error(timeout) when the deadline passes.
void wait_until_recovered(const Config& config, const std::filesystem::path& directory,
                          const Deadline& deadline, const Cancel& cancel);

}  // namespace lifeboat::postgres
