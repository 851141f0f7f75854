#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.hpp"

namespace lifeboat {

// An open file descriptor, closed at the end of its life.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

// Without a slash at its end, and else as short: "/a/c" of "/a/b/../c/". Looks at no file.
std::filesystem::path without_slash(const std::filesystem::path& path);

// All throw system_error() with the path as subject.
Fd open_file(const std::filesystem::path& path, int flags, int mode = 0600);
void write_all(int fd, std::string_view bytes, const std::string& subject);
// pread(2), as many of them as there are.
std::size_t read_at(int fd, std::uint64_t offset, char* into, std::size_t size,
                    const std::string& subject);
void sync_file(int fd, const std::string& subject);           // fsync(2)
void sync_directory(const std::filesystem::path& directory);  // fsync(2) of the directory

// Whole file; nullopt when it does not exist. Error(corrupt) above `limit` bytes.
std::optional<std::string> read_file(const std::filesystem::path& path,
                                     ByteCount limit = ByteCount(1ull << 30));

// Durable and atomic: a temporary file beside it, fsync, rename(2), fsync of the directory.
void write_file_durably(const std::filesystem::path& path, std::string_view bytes, int mode = 0600);

}  // namespace lifeboat
