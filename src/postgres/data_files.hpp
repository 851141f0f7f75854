#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "postgres/base_backup.hpp"
#include "postgres/page_check.hpp"

namespace lifeboat::postgres {

// What the file system tells of a file, before it is read.
struct FileFacts {
  std::string path;  // in the data directory
  ByteCount size;
  int mode = 0;
  Timestamp mtime;
  std::uint64_t inode = 0;
  std::int64_t changed = 0;  // of the inode (ctime); nanoseconds since 1970
  // It was not changed for so long that whatever changes it from now on gives it another `changed`.
  bool settled = false;
};

// A BackupSink for files that lie on this machine: it may know one without reading it.
class FileSink : public BackupSink {
 public:
  // Before a file's begin_file(). True: nothing more comes of this file.
  virtual bool known(const FileFacts& file) = 0;
};

// A file is settled when it was last changed this long before the walk began, by the clock of the
// file system. Longer than a write takes from the moment it notes the time to that at which its
// bytes can be read.
constexpr std::int64_t kSettledAfter = 10'000'000'000;  // ns

// Gives files to a sink. `newest`: what is changed up to then (ns since 1970) is settled, unless
// the file system is another machine's, with a clock of its own (NFS, SMB, FUSE…).
class FileGiver {
 public:
  // `progress` is told of each piece and of each file that was known; its total is 0.
  FileGiver(FileSink& sink, std::int64_t newest, const Cancel& cancel,
            ProgressFunction progress = {}, PageRules pages = {});
  // One file; false when it is not there (any more). Read up to the size that it had when it was
  // opened; what was cut off meanwhile is zeros.
  bool give(const std::filesystem::path& file, const std::string& path);

  ByteCount bytes() const { return bytes_; }  // of all that were given
  std::uint64_t files() const { return files_; }
  const PageCheck& pages() const { return pages_; }  // of the files that were read

 private:
  bool clock_is_ours(std::uint64_t device, const std::filesystem::path& file);
  void read(int fd, const FileFacts& facts, const std::filesystem::path& file);
  void count(std::uint64_t bytes);

  FileSink& sink_;
  std::int64_t newest_;
  const Cancel& cancel_;
  ProgressFunction progress_;
  PageCheck pages_;
  std::string buffer_;
  std::uint64_t device_ = 0;
  bool device_is_ours_ = false;
  ByteCount bytes_;
  std::uint64_t files_ = 0;
};

// All of a running server's data directory that a base backup has (manual, chapter 55.4,
// BASE_BACKUP), tablespaces included, but for global/pg_control and backup_label. Each directory
// before what is in it, the rest by name: the order of vault::walked_before(). Fills in the
// result's tablespaces. What goes away meanwhile is left out.
void give_data_directory(const std::filesystem::path& directory, FileSink& sink, FileGiver& files,
                         std::vector<Tablespace>& tablespaces, const Cancel& cancel);

}  // namespace lifeboat::postgres
