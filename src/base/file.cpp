#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"

namespace lifeboat {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Fd::release() {
  int fd = fd_;
  fd_ = -1;
  return fd;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Fd open_file(const std::filesystem::path& path, int flags, int mode) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) throw system_error(errno, path.string(), "cannot open");
  return fd;
}

void write_all(int fd, std::string_view bytes, const std::string& subject) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_error(errno, subject, "cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::size_t read_at(int fd, std::uint64_t offset, char* into, std::size_t size,
                    const std::string& subject) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, into + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_error(errno, subject, "cannot read");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void sync_file(int fd, const std::string& subject) {
  if (::fsync(fd) != 0) throw system_error(errno, subject, "cannot fsync");
}

std::filesystem::path without_slash(const std::filesystem::path& path) {
  auto out = path.lexically_normal();
  return out.has_filename() ? out : out.parent_path();
}

void sync_directory(const std::filesystem::path& directory) {
  Fd fd = open_file(directory, O_RDONLY | O_DIRECTORY);
  sync_file(fd.get(), directory.string());
}

std::optional<std::string> read_file(const std::filesystem::path& path, ByteCount limit) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return std::nullopt;
    throw system_error(errno, path.string(), "cannot open");
  }
  std::string out;
  std::string buffer(1 << 16, '\0');
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_error(errno, path.string(), "cannot read");
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() > limit.value) {
      throw Error(Code::corrupt, path.string(),
                  "is larger than the " + std::to_string(limit.value) + " bytes it may have");
    }
  }
}

void write_file_durably(const std::filesystem::path& path, std::string_view bytes, int mode) {
  std::filesystem::path temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid());
  try {
    Fd fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_all(fd.get(), bytes, path.string());
    sync_file(fd.get(), path.string());
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      throw system_error(errno, path.string(), "cannot rename");
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

}  // namespace lifeboat
