#include "postgres/data_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/error.hpp"
#include "base/file.hpp"
#include "postgres/relation_file.hpp"
#include "postgres/relative_path.hpp"

namespace lifeboat::postgres {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPiece = 1 << 20;

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

// f_type of statfs(2), of file systems whose times another machine's clock gives.
bool has_another_clock(long type) {
  constexpr std::array<long, 11> kTypes = {
      0x6969,                  // NFS
      0x517B,     0xFE534D42,  // SMB, SMB2
      0xFF534D42,              // CIFS
      0x65735546,              // FUSE
      0x00C36400,              // Ceph
      0x5346414F,              // AFS
      0x01021997,              // 9P
      0x0BD00BD0,              // Lustre
      0x7461636F,              // OCFS2
      0x01161970,              // GFS2
  };
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// "t3_16384": of a session's temporary table.
bool is_temporary_relation(std::string_view name) {
  auto line = name.find('_');
  return name.starts_with('t') && line != std::string_view::npos &&
         all_digits(name.substr(1, line - 1)) && !relation_file(name.substr(line + 1)).node.empty();
}

bool is_left_out(std::string_view name) {
  static const std::set<std::string_view> names = {
      "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label",   "tablespace_map",
      "backup_manifest",          "postmaster.pid",       "postmaster.opts"};
  return names.contains(name) || name.starts_with("pg_internal.init") ||
         name.starts_with("pgsql_tmp");
}

bool content_is_left_out(std::string_view path) {
  static const std::set<std::string_view> paths = {"pg_dynshmem", "pg_notify",    "pg_replslot",
                                                   "pg_serial",   "pg_snapshots", "pg_stat_tmp",
                                                   "pg_subtrans", "pg_wal"};
  return paths.contains(path);
}

struct Found {
  std::string name;
  struct stat info{};
};

// By name. Gone meanwhile: empty, or without what is gone.
std::vector<Found> list(const fs::path& directory) {
  std::vector<Found> out;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  if (error.value() == ENOENT) return out;
  if (error) throw system_error(error.value(), directory.string(), "reading the directory");
  for (const auto& entry : entries) {
    Found found{entry.path().filename().string(), {}};
    if (::lstat(entry.path().c_str(), &found.info) == 0) {
      out.push_back(std::move(found));
    } else if (errno != ENOENT) {
      throw system_error(errno, entry.path().string(), "stat");
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

class Walk {
 public:
  Walk(FileSink& sink, FileGiver& files, std::vector<Tablespace>& tablespaces, const Cancel& cancel)
      : sink_(sink), files_(files), tablespaces_(tablespaces), cancel_(cancel) {}

  // `path` is "" for the data directory itself.
  void inside(const fs::path& directory, const std::string& path) {
    cancel_.check();
    const auto entries = list(directory);
    std::set<std::string_view> unlogged;
    if (holds_relations(path)) {
      for (const auto& entry : entries) {
        const auto file = relation_file(entry.name);
        if (file.fork == "init") unlogged.insert(file.node);
      }
    }
    for (const auto& entry : entries) {
      if (is_left_out(entry.name)) continue;
      if (holds_relations(path) && is_dropped_at_start(entry.name, unlogged)) continue;
      one(entry, directory / entry.name, path.empty() ? entry.name : path + "/" + entry.name);
    }
  }

 private:
  // Unlogged tables begin anew from their init fork.
  static bool is_dropped_at_start(std::string_view name,
                                  const std::set<std::string_view>& unlogged) {
    const auto file = relation_file(name);
    return is_temporary_relation(name) ||
           (!file.node.empty() && file.fork != "init" && unlogged.contains(file.node));
  }

  void one(const Found& entry, const fs::path& at, const std::string& path) {
    if (path == "global/pg_control") return;
    const int mode = static_cast<int>(entry.info.st_mode & 07777);
    // pg_wal may be a link to another disk; a restore makes it a directory.
    if (path == "pg_wal") return wal(mode);
    if (S_ISLNK(entry.info.st_mode)) return link(at, path);
    if (S_ISREG(entry.info.st_mode)) {
      files_.give(at, path);
      return;
    }
    if (!S_ISDIR(entry.info.st_mode)) return;
    sink_.begin_directory(path, mode);
    if (!content_is_left_out(path)) inside(at, path);
  }

  void wal(int mode) {
    sink_.begin_directory("pg_wal", mode & 0700 ? mode : 0700);
    sink_.begin_directory("pg_wal/archive_status", mode & 0700 ? mode : 0700);
  }

  // Tablespaces; a base backup has no other links.
  void link(const fs::path& at, const std::string& path) {
    constexpr std::string_view kTablespaces = "pg_tblspc/";
    if (!path.starts_with(kTablespaces) || !all_digits(path.substr(kTablespaces.size()))) return;
    std::error_code error;
    const auto target = fs::read_symlink(at, error);
    if (error.value() == ENOENT) return;
    if (error) throw system_error(error.value(), at.string(), "reading the link");
    tablespaces_.push_back(
        {static_cast<std::uint32_t>(std::stoul(path.substr(kTablespaces.size()))),
         target.string()});
    sink_.symlink(path, target.string());
    inside(at, path);
  }

  FileSink& sink_;
  FileGiver& files_;
  std::vector<Tablespace>& tablespaces_;
  const Cancel& cancel_;
};

}  // namespace

FileGiver::FileGiver(FileSink& sink, std::int64_t newest, const Cancel& cancel,
                     ProgressFunction progress, PageRules pages)
    : sink_(sink),
      newest_(newest),
      cancel_(cancel),
      progress_(std::move(progress)),
      pages_(pages),
      buffer_(kPiece, '\0') {}

void FileGiver::count(std::uint64_t bytes) {
  bytes_ = bytes_ + bytes;
  if (progress_) progress_({bytes_, ByteCount(0)});
}

bool FileGiver::give(const fs::path& file, const std::string& path) {
  cancel_.check();
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return false;
  if (!fd) throw system_error(errno, file.string(), "open");
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) throw system_error(errno, file.string(), "stat");
  FileFacts facts;
  facts.path = path;
  facts.size = ByteCount(static_cast<std::uint64_t>(info.st_size));
  facts.mode = static_cast<int>(info.st_mode & 07777);
  facts.mtime = Timestamp(nanoseconds(info.st_mtim) / 1'000'000);
  facts.inode = info.st_ino;
  facts.changed = nanoseconds(info.st_ctim);
  facts.settled = facts.changed <= newest_ && clock_is_ours(info.st_dev, file);
  if (sink_.known(facts)) {
    count(facts.size.value);
  } else {
    read(fd.get(), facts, file);
  }
  ++files_;
  return true;
}

void FileGiver::read(int fd, const FileFacts& facts, const fs::path& file) {
  sink_.begin_file(facts.path, facts.size, facts.mode, facts.mtime);
  pages_.begin(facts.path);
  bool ended = false;
  for (std::uint64_t at = 0; at < facts.size.value;) {
    cancel_.check();
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(facts.size.value - at, buffer_.size()));
    const auto n = ended ? 0 : read_at(fd, at, buffer_.data(), want, file.string());
    ended = n < want;
    std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(n),
              buffer_.begin() + static_cast<std::ptrdiff_t>(want), '\0');
    pages_.look(
        at, std::string_view(buffer_).substr(0, n), [&](std::uint64_t offset, std::string& page) {
          return read_at(fd, offset, page.data(), page.size(), file.string()) == page.size();
        });
    sink_.data(std::string_view(buffer_).substr(0, want));
    count(want);
    at += want;
  }
  sink_.end_file();
}

bool FileGiver::clock_is_ours(std::uint64_t device, const fs::path& file) {
  if (device == device_) return device_is_ours_;
  struct statfs info{};
  device_is_ours_ = ::statfs(file.c_str(), &info) == 0 && !has_another_clock(info.f_type);
  device_ = device;
  return device_is_ours_;
}

void give_data_directory(const fs::path& directory, FileSink& sink, FileGiver& files,
                         std::vector<Tablespace>& tablespaces, const Cancel& cancel) {
  Walk(sink, files, tablespaces, cancel).inside(directory, "");
}

}  // namespace lifeboat::postgres
