#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "postgres/relative_path.hpp"
#include "postgres/restore.hpp"

namespace lifeboat::postgres {

namespace fs = std::filesystem;

namespace {

constexpr const char* kMark = "lifeboat-restore.unfinished";
constexpr std::string_view kMarkText =
    "A restore by lifeboat began here and did not finish. Run it again.\n";
constexpr std::string_view kTablespaces = "pg_tblspc/";

[[noreturn]] void throw_errno(const fs::path& path, std::string doing) {
  throw system_error(errno, path.string(), std::move(doing));
}

// The first line of postmaster.pid is the pid; a crash leaves the file behind.
bool postmaster_runs(const fs::path& directory) {
  const auto text = read_file(directory / "postmaster.pid", ByteCount(64 << 10));
  if (!text) return false;
  pid_t pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  if (pid <= 0 || (::kill(pid, 0) != 0 && errno == ESRCH)) return false;
  std::error_code unreadable;
  const auto cwd = fs::read_symlink(fmt::format("/proc/{}/cwd", pid), unreadable);
  return unreadable || cwd == fs::canonical(directory);
}

void give_to(const std::optional<Owner>& owner, int fd, const fs::path& path) {
  if (owner && ::fchown(fd, owner->uid, owner->gid) != 0) throw_errno(path, "chown");
}

void make_directory(const fs::path& path, const std::optional<Owner>& owner) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw_errno(path, "mkdir");
  const auto fd = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  give_to(owner, fd.get(), path);
  if (::fchmod(fd.get(), 0700) != 0) throw_errno(path, "chmod");
}

// Without links and a slash at its end, as far as it is there.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  const auto out = fs::weakly_canonical(fs::absolute(path), error);
  if (error) throw system_error(error.value(), path.string(), "looking where it leads");
  return without_slash(out);
}

bool lies_in(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// All but the mark, and then the mark: a crash meanwhile leaves it unfinished.
void empty_directory(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename() != kMark) fs::remove_all(entry.path());
  }
  fs::remove(directory / kMark);
}

// Starts the writing out of all files, then waits for each: much faster than one by one.
void sync_tree(const fs::path& root) {
  const auto each = [&](auto&& act) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (!entry.is_symlink()) act(entry);
    }
  };
  each([](const fs::directory_entry& entry) {
    if (!entry.is_regular_file()) return;
    const auto fd = open_file(entry.path(), O_RDONLY | O_NOFOLLOW);
    ::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);  // a hint: fsync reports errors
  });
  each([](const fs::directory_entry& entry) {
    if (entry.is_directory()) return sync_directory(entry.path());
    const auto fd = open_file(entry.path(), O_RDONLY | O_NOFOLLOW);
    sync_file(fd.get(), entry.path().string());
  });
  sync_directory(root);
}

std::optional<std::uint32_t> tablespace_of_link(const std::string& path) {
  if (path.compare(0, kTablespaces.size(), kTablespaces) != 0) return std::nullopt;
  std::uint32_t oid = 0;
  const auto* end = path.data() + path.size();
  const auto [at, error] = std::from_chars(path.data() + kTablespaces.size(), end, oid);
  if (error != std::errc() || at != end) return std::nullopt;
  return oid;
}

}  // namespace

DirectoryState directory_state(const fs::path& directory) {
  std::error_code error;
  const auto status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found) return DirectoryState::absent;
  if (status.type() != fs::file_type::directory) {
    throw Error(Code::refused, directory.string(), "not a directory");
  }
  if (postmaster_runs(directory)) return DirectoryState::running;
  if (fs::exists(directory / kMark)) return DirectoryState::unfinished;
  fs::directory_iterator entries(directory, error);
  if (error) throw system_error(error.value(), directory.string(), "reading the directory");
  return entries == fs::directory_iterator() ? DirectoryState::empty : DirectoryState::occupied;
}

std::optional<Owner> find_owner(const std::string& os_user) {
  if (os_user.empty()) return std::nullopt;
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16 << 10, '\0');
  ::getpwnam_r(os_user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    throw Error(Code::config, "user " + os_user, "this machine knows no such user",
                "install PostgreSQL first, or name the user that runs it");
  }
  if (::geteuid() == 0) return Owner{found->pw_uid, found->pw_gid};
  if (::geteuid() == found->pw_uid) return std::nullopt;
  throw Error(Code::refused, "user " + os_user, "files can be given to it by root alone",
              "run lifeboat as root, or as " + os_user);
}

DataFileWriter::DataFileWriter(Fd file, std::string path, std::optional<ByteCount> expected)
    : file_(std::move(file)), path_(std::move(path)), expected_(expected) {}

void DataFileWriter::data(std::string_view piece) {
  written_ = written_ + piece.size();
  if (expected_ && written_ > *expected_) {
    throw Error(Code::corrupt, path_, fmt::format("more than its {} bytes came", *expected_));
  }
  write_all(file_.get(), piece, path_);
}

void DataFileWriter::end() {
  if (expected_ && written_ != *expected_) {
    throw Error(Code::corrupt, path_, fmt::format("{} of its {} bytes came", written_, *expected_));
  }
  file_.reset();
}

DataDirectoryWriter::DataDirectoryWriter(const fs::path& directory, WriterOptions options)
    : owner_(find_owner(options.os_user)),
      directory_(resolved(directory)),
      options_(std::move(options)) {
  claim(directory_);
}

// What is emptied for one of them must not be what another one holds; links name any place.
void DataDirectoryWriter::refuse_overlap(const fs::path& directory, DirectoryState state) const {
  const auto place = resolved(directory);
  for (const auto& root : roots_) {
    // PostgreSQL allows, with a warning, tablespaces below the data directory.
    const bool inside = state != DirectoryState::absent && lies_in(place, root);
    if (!inside && !lies_in(root, place)) continue;
    throw Error(Code::refused, directory.string(),
                fmt::format("the restore writes to {} already, and one of both lies in the other",
                            root.string()),
                "restore a point whose tablespaces have places of their own");
  }
}

void DataDirectoryWriter::claim(const fs::path& directory) {
  if (fs::is_symlink(fs::symlink_status(directory))) {
    throw Error(Code::refused, directory.string(),
                "is a link, and none that a restore follows: that of a tablespace's place, or one "
                "that leads nowhere",
                "put a directory in its place, or mount one there");
  }
  const auto state = directory_state(directory);
  refuse_overlap(directory, state);
  switch (state) {
    case DirectoryState::absent:
    case DirectoryState::empty:
      break;
    case DirectoryState::unfinished:
      empty_directory(directory);
      break;
    case DirectoryState::occupied:
      throw Error(Code::refused, directory.string(), "the directory is not empty",
                  "name an empty one, or move this one away");
    case DirectoryState::running:
      throw Error(Code::refused, directory.string(), "a PostgreSQL server runs on it",
                  "stop the server and name an empty directory");
  }
  make_directory(directory, owner_);
  if (state == DirectoryState::absent) sync_directory(directory.parent_path());
  write_file_durably(directory / kMark, kMarkText);
  roots_.push_back(resolved(directory));
}

fs::path DataDirectoryWriter::place(const std::string& path) const {
  return directory_ / clean_relative_path(path);
}

void DataDirectoryWriter::begin_directory(const std::string& path, int /*mode*/) {
  make_directory(place(path), owner_);
}

void DataDirectoryWriter::symlink(const std::string& path, const std::string& target) {
  const auto oid = tablespace_of_link(clean_relative_path(path));
  if (!oid || target.empty() || target.front() != '/' || target.find('\0') != std::string::npos) {
    throw Error(Code::corrupt, "data directory", "a link that is no tablespace: " + path);
  }
  const auto mapped = options_.tablespaces.find(*oid);
  // Without a slash at its end, which would follow a link.
  const auto location = without_slash(
      mapped == options_.tablespaces.end() ? fs::path(target) : fs::absolute(mapped->second));
  while_doing(fmt::format("restoring tablespace {}", *oid), [&] { claim(location); });
  if (::symlink(location.c_str(), place(path).c_str()) != 0) throw_errno(place(path), "symlink");
}

DataFileWriter DataDirectoryWriter::open(const std::string& path,
                                         std::optional<ByteCount> size) const {
  const auto at = place(path);
  auto file = open_file(at, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  give_to(owner_, file.get(), at);
  return {std::move(file), at.string(), size};
}

void DataDirectoryWriter::begin_file(const std::string& path, ByteCount size, int /*mode*/,
                                     Timestamp /*mtime*/) {
  begun_ = open(path, size);
}

void DataDirectoryWriter::begin_stream(const std::string& path, int /*mode*/) {
  begun_ = open(path, std::nullopt);
}

void DataDirectoryWriter::data(std::string_view piece) {
  begun_.value().data(piece);
}

void DataDirectoryWriter::end_file() {
  begun_.value().end();
  begun_.reset();
}

void DataDirectoryWriter::finish() {
  for (const auto& root : roots_) sync_tree(root);
  sync_directory(directory_.parent_path());
  // The data directory's own mark goes last: until then all of it is unfinished.
  for (auto root = roots_.rbegin(); root != roots_.rend(); ++root) {
    fs::remove(*root / kMark);
    sync_directory(*root);
  }
}

}  // namespace lifeboat::postgres
