#include "store/directory_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/error.hpp"

namespace lifeboat::store {
namespace {

constexpr const char* kTemporaryDirectory = ".tmp";
constexpr const char* kLockFile = ".lock";
constexpr std::uint64_t kMaxObject = 1ull << 30;
constexpr std::int64_t kLeftoverAge = 3600ll * 1'000'000'000;
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::int64_t nanoseconds(const timespec& t) {
  return t.tv_sec * 1'000'000'000ll + t.tv_nsec;
}

struct ::stat stat_of(int fd, const std::string& subject) {
  struct ::stat info{};
  if (::fstat(fd, &info) != 0) throw system_error(errno, subject, "cannot stat");
  return info;
}

std::string version_of(const struct ::stat& info) {
  return std::to_string(nanoseconds(info.st_mtim)) + "-" + std::to_string(info.st_size);
}

bool is_symlink(int directory, const char* name) {
  struct ::stat info{};
  return ::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
}

[[noreturn]] void refuse(const std::string& subject, const std::string& what) {
  throw Error(Code::refused, subject, what, "remove it: the vault has only files and directories");
}

// Into what `out` has, as far as it goes.
std::string read_range(int fd, std::uint64_t offset, std::uint64_t length, std::string out,
                       const std::string& subject) {
  constexpr std::uint64_t at_once = 256u << 10;  // the zeros it overwrites are in the cache still
  if (out.capacity() < length) {
    out = std::string();
    out.reserve(length);
    ask_for_huge_pages(out);
  }
  std::uint64_t done = 0;
  while (done < length) {
    const auto want = std::min(at_once, length - done);
    out.resize(std::max<std::size_t>(out.size(), done + want));
    const auto got = read_at(fd, offset + done, out.data() + done, want, subject);
    done += got;
    if (got < want) break;
  }
  out.resize(done);
  return out;
}

void lock(int fd, const std::string& subject) {
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) throw system_error(errno, subject, "cannot lock");
  }
}

struct DirectoryEntry {
  std::string name;  // of a directory with a '/' at the end: so they sort as object names do
  bool directory = false;
};

std::vector<DirectoryEntry> entries_of(int directory, const std::string& subject) {
  Fd copy(::openat(directory, ".", kOpenDirectory));
  if (!copy) throw system_error(errno, subject, "cannot open");
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
  if (!stream) throw system_error(errno, subject, "cannot list");
  copy.release();
  std::vector<DirectoryEntry> out;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    if (!valid_name(entry->d_name)) continue;  // .tmp, .lock, lost+found: not objects
    bool is_directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      struct ::stat info{};
      if (::fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      is_directory = S_ISDIR(info.st_mode);
    }
    out.push_back({entry->d_name + std::string(is_directory ? "/" : ""), is_directory});
  }
  if (errno != 0) throw system_error(errno, subject, "cannot list");
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

}  // namespace

namespace {

// Small parts are put together, so that not each costs a system call.
void write_parts(int fd, const std::vector<std::string_view>& parts, const std::string& subject) {
  constexpr std::size_t kSmall = 32 * 1024;
  std::string together;
  for (auto part : parts) {
    bool small = part.size() < kSmall;
    if (small) together += part;
    if (small && together.size() < 8 * kSmall) continue;
    write_all(fd, together, subject);
    together.clear();
    if (!small) write_all(fd, part, subject);
  }
  write_all(fd, together, subject);
}

}  // namespace

struct DirectoryStore::Place {
  Fd directory;
  std::string path;  // of the directory below the root, "" for the root itself
  std::string leaf;
  std::string subject;
};

struct DirectoryStore::Temporary {
  Fd fd;
  int directory = -1;
  std::string name;

  Temporary(int in, std::string its_name) : directory(in), name(std::move(its_name)) {}
  Temporary(Temporary&& other) noexcept
      : fd(std::move(other.fd)), directory(other.directory), name(std::move(other.name)) {
    other.name.clear();
  }
  Temporary& operator=(Temporary&&) = delete;
  ~Temporary() {
    if (fd && !name.empty()) ::unlinkat(directory, name.c_str(), 0);
  }
};

DirectoryStore::DirectoryStore(std::filesystem::path directory) : directory_(std::move(directory)) {
  int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    throw Error(Code::not_found, describe(), "does not exist",
                "look whether the disk is mounted and the path is right; for a new vault make it "
                "with lifeboat init");
  }
  if (fd < 0 && errno == ENOTDIR) {
    throw Error(Code::refused, describe(), "is a file, or lies below one",
                "name a directory as `vault` in lifeboat.yaml: one of its own");
  }
  if (fd < 0) throw system_error(errno, describe(), "cannot open");
  root_ = Fd(fd);
}

void DirectoryStore::create(const std::filesystem::path& directory) {
  if (std::filesystem::is_directory(directory)) return;
  auto parent = std::filesystem::absolute(directory).lexically_normal();
  if (!parent.has_filename()) parent = parent.parent_path();
  parent = parent.parent_path();
  create(parent);
  if (::mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST) {
    throw system_error(errno, "directory " + directory.string(), "cannot create");
  }
  sync_directory(parent);
}

std::string DirectoryStore::subject(const std::string& name) const {
  return "object " + name + " in " + directory_.string();
}

std::optional<DirectoryStore::Place> DirectoryStore::find(const std::string& name,
                                                          bool make_directories) {
  check_name(name);
  Place place;
  place.subject = subject(name);
  place.directory = Fd(::openat(root_.get(), ".", kOpenDirectory));
  std::size_t begin = 0;
  for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', begin)) {
    std::string segment = name.substr(begin, slash - begin);
    int parent = place.directory.get();
    Fd next(::openat(parent, segment.c_str(), kOpenDirectory));
    if (!next && errno == ENOENT && make_directories) {
      if (::mkdirat(parent, segment.c_str(), 0750) != 0 && errno != EEXIST) {
        throw system_error(errno, place.subject, "cannot make its directory");
      }
      next = Fd(::openat(parent, segment.c_str(), kOpenDirectory));
    }
    if (!next) {
      int error = errno;
      if (is_symlink(parent, segment.c_str())) {
        refuse(place.subject, "its directory " + name.substr(0, slash) + " is a symbolic link");
      }
      if (!make_directories && (error == ENOENT || error == ENOTDIR)) return std::nullopt;
      throw system_error(error, place.subject, "cannot open its directory");
    }
    place.directory = std::move(next);
    place.path = name.substr(0, slash);
    begin = slash + 1;
  }
  if (!place.directory) throw system_error(errno, place.subject, "cannot open its directory");
  place.leaf = name.substr(begin);
  return place;
}

Fd DirectoryStore::open_object(const Place& place) {
  Fd fd(::openat(place.directory.get(), place.leaf.c_str(),
                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return Fd();
    if (errno == ELOOP) refuse(place.subject, "is a symbolic link");
    throw system_error(errno, place.subject, "cannot open");
  }
  auto info = stat_of(fd.get(), place.subject);
  if (S_ISDIR(info.st_mode)) return Fd();  // a part of other objects' names
  if (!S_ISREG(info.st_mode)) refuse(place.subject, "is not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > kMaxObject) {
    throw Error(Code::corrupt, place.subject,
                "has " + std::to_string(info.st_size) + " bytes: no object is that large");
  }
  return fd;
}

std::optional<std::string> DirectoryStore::get(const std::string& name) {
  return get_range(name, ByteCount(0), ByteCount(kMaxObject));
}

std::optional<std::string> DirectoryStore::get_range_in(std::string room, const std::string& name,
                                                        ByteCount offset, ByteCount length) {
  auto place = find(name);
  if (!place) return std::nullopt;
  Fd fd = open_object(*place);
  if (!fd) return std::nullopt;
  auto size = static_cast<std::uint64_t>(stat_of(fd.get(), place->subject).st_size);
  if (offset.value >= size) return std::string();
  return read_range(fd.get(), offset.value, std::min(length.value, size - offset.value),
                    std::move(room), place->subject);
}

std::optional<ObjectInfo> DirectoryStore::stat(const std::string& name) {
  auto place = find(name);
  if (!place) return std::nullopt;
  Fd fd = open_object(*place);
  if (!fd) return std::nullopt;
  auto info = stat_of(fd.get(), place->subject);
  if (open_temporary_directory()) sync_unless_older(*place, nanoseconds(info.st_ctim));
  return ObjectInfo{name, ByteCount(static_cast<std::uint64_t>(info.st_size)), version_of(info)};
}

void DirectoryStore::put(const std::string& name, std::string_view bytes) {
  Temporary file = write_temporary(name, {bytes});
  Place place = *find(name, true);
  {
    Fd held = lock_names();
    replace(place, file);
  }
  sync(place);
}

PutResult DirectoryStore::put_parts_if_absent(const std::string& name,
                                              const std::vector<std::string_view>& parts) {
  Temporary file = write_temporary(name, parts);
  Place place = *find(name, true);
  if (::linkat(file.directory, file.name.c_str(), place.directory.get(), place.leaf.c_str(), 0) ==
      0) {
    sync(place);
    return PutResult::written;
  }
  if (errno != EEXIST) throw system_error(errno, place.subject, "cannot link");
  Fd there = open_object(place);
  if (!there) {
    throw Error(Code::failed, place.subject, "is a directory: other objects' names begin with it");
  }
  sync_unless_older(place, nanoseconds(stat_of(there.get(), place.subject).st_ctim));
  return PutResult::exists;
}

PutResult DirectoryStore::put_if_unchanged(const std::string& name, std::string_view bytes,
                                           const std::string& seen_version) {
  auto place = find(name);
  if (!place) return PutResult::changed;
  Temporary file = write_temporary(name, {bytes});
  {
    Fd held = lock_names();
    Fd there = open_object(*place);
    if (!there || version_of(stat_of(there.get(), place->subject)) != seen_version) {
      return PutResult::changed;
    }
    replace(*place, file);
  }
  sync(*place);
  return PutResult::written;
}

bool DirectoryStore::remove(const std::string& name) {
  auto place = find(name);
  if (!place) return false;
  {
    Fd held = lock_names();
    if (!open_object(*place)) return false;
    if (::unlinkat(place->directory.get(), place->leaf.c_str(), 0) != 0) {
      if (errno == ENOENT) return false;
      throw system_error(errno, place->subject, "cannot remove");
    }
  }
  if (!open_temporary_directory()) return true;
  sync(*place);
  return true;
}

// The modification time is the version: it must differ from that of what is replaced, also when
// both were written within one tick of the file system's clock.
void DirectoryStore::replace(const Place& place, Temporary& file) {
  if (Fd there = open_object(place)) {
    auto old_time = nanoseconds(stat_of(there.get(), place.subject).st_mtim);
    if (nanoseconds(stat_of(file.fd.get(), place.subject).st_mtim) <= old_time) {
      ++old_time;
      timespec times[2] = {{0, UTIME_OMIT}, {old_time / 1'000'000'000, old_time % 1'000'000'000}};
      if (::futimens(file.fd.get(), times) != 0) {
        throw system_error(errno, place.subject, "cannot set its time");
      }
    }
  }
  if (::renameat(file.directory, file.name.c_str(), place.directory.get(), place.leaf.c_str()) !=
      0) {
    throw system_error(errno, place.subject, "cannot rename");
  }
  file.name.clear();
}

bool DirectoryStore::open_temporary_directory() {
  std::lock_guard guard(mutex_);
  if (temporary_) return true;
  if (::mkdirat(root_.get(), kTemporaryDirectory, 0750) != 0 && errno != EEXIST) {
    if (errno == EROFS || errno == EACCES || errno == EPERM) return false;
    throw system_error(errno, describe(), "cannot make its directory for temporary files");
  }
  if (::faccessat(root_.get(), kTemporaryDirectory, W_OK, AT_EACCESS) != 0) return false;
  temporary_ = Fd(::openat(root_.get(), kTemporaryDirectory, kOpenDirectory));
  if (!temporary_) {
    if (is_symlink(root_.get(), kTemporaryDirectory)) {
      refuse(describe(), "its .tmp is a symbolic link");
    }
    throw system_error(errno, describe(), "cannot open its directory for temporary files");
  }
  remove_leftovers();
  return true;
}

DirectoryStore::Temporary DirectoryStore::write_temporary(
    const std::string& name, const std::vector<std::string_view>& parts) {
  check_name(name);
  if (!open_temporary_directory()) {
    throw Error(Code::denied, describe(), "cannot be written to",
                "run as the user that owns the vault, and look whether it is mounted read-only");
  }
  for (;;) {
    Temporary file(temporary_.get(), std::to_string(::getpid()) + "-" + std::to_string(++counter_));
    file.fd = Fd(::openat(file.directory, file.name.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640));
    if (!file.fd && errno == EEXIST) continue;  // left by a killed process with our id
    if (!file.fd) throw system_error(errno, subject(name), "cannot make a temporary file");
    lock(file.fd.get(), subject(name));  // so that remove_leftovers() knows it is in use
    write_parts(file.fd.get(), parts, subject(name));
    sync_file(file.fd.get(), subject(name));
    return file;
  }
}

void DirectoryStore::remove_leftovers() {
  std::int64_t now = file_system_now();
  Fd copy(::openat(temporary_.get(), ".", kOpenDirectory));
  if (!copy) return;
  for (const auto& entry : entries_of(copy.get(), describe())) {
    Fd file(
        ::openat(copy.get(), entry.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) continue;
    auto info = stat_of(file.get(), describe());
    if (!S_ISREG(info.st_mode) || now - nanoseconds(info.st_mtim) < kLeftoverAge) continue;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;  // still being written
    ::unlinkat(copy.get(), entry.name.c_str(), 0);
  }
}

Fd DirectoryStore::lock_names() {
  Fd fd(::openat(root_.get(), kLockFile, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!fd) throw system_error(errno, describe(), "cannot open its lock file");
  lock(fd.get(), describe());
  return fd;
}

// Its clock stamps the files; asking it through a file of ours compares like with like, also on a
// file server.
std::int64_t DirectoryStore::file_system_now() {
  timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  if (::futimens(temporary_.get(), times) != 0) {
    throw system_error(errno, describe(), "cannot set a time");
  }
  return nanoseconds(stat_of(temporary_.get(), describe()).st_mtim);
}

void DirectoryStore::sync(const Place& place) {
  std::int64_t begun = file_system_now();
  bool first = false;
  {
    std::lock_guard guard(mutex_);
    first = synced_.count(place.path) == 0;
  }
  sync_file(place.directory.get(), place.subject);
  if (first && !place.path.empty()) {  // the directories above may be new as well
    Fd above(::openat(place.directory.get(), "..", kOpenDirectory));
    for (auto n = std::count(place.path.begin(), place.path.end(), '/') + 1; n > 0; --n) {
      if (!above) throw system_error(errno, place.subject, "cannot open the directory above");
      sync_file(above.get(), place.subject);
      above = Fd(::openat(above.get(), "..", kOpenDirectory));
    }
  }
  std::lock_guard guard(mutex_);
  auto& when = synced_[place.path];
  when = std::max(when, begun);
}

// A name that another writer has just given may not be durable yet: somebody who relies on it must
// not report more than the disk holds.
void DirectoryStore::sync_unless_older(const Place& place, std::int64_t changed) {
  {
    std::lock_guard guard(mutex_);
    auto it = synced_.find(place.path);
    if (it != synced_.end() && changed < it->second) return;
  }
  sync(place);
}

void DirectoryStore::list(const std::string& prefix,
                          const std::function<void(const ObjectInfo&)>& visit) {
  list_below(root_.get(), "", prefix, visit);
}

void DirectoryStore::list_below(int directory, const std::string& path, const std::string& prefix,
                                const std::function<void(const ObjectInfo&)>& visit) {
  for (const auto& entry : entries_of(directory, describe())) {
    std::string name = path + entry.name;
    if (entry.directory) {
      if (!name.starts_with(prefix) && !prefix.starts_with(name)) continue;
      std::string segment = entry.name.substr(0, entry.name.size() - 1);
      Fd below(::openat(directory, segment.c_str(), kOpenDirectory));
      if (!below) throw system_error(errno, subject(name), "cannot open");
      list_below(below.get(), name, prefix, visit);
      continue;
    }
    if (!name.starts_with(prefix) && !prefix.starts_with(name + "/")) continue;
    struct ::stat info{};
    if (::fstatat(directory, entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      throw system_error(errno, subject(name), "cannot stat");
    }
    if (!S_ISREG(info.st_mode)) refuse(subject(name), "is not a regular file");
    if (!name.starts_with(prefix)) continue;
    visit({name, ByteCount(static_cast<std::uint64_t>(info.st_size)), version_of(info)});
  }
}

}  // namespace lifeboat::store
