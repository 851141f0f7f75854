#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/connection.hpp"

namespace lifeboat::postgres::test {

namespace fs = std::filesystem;

// A folder of its own, readable by the user that runs PostgreSQL, deleted at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Who runs PostgreSQL: it refuses root. "" when the tests do not run as root.
std::string os_user();

// Runs a program as os_user() and returns its exit code; its output goes into `output`.
int run_program(const std::vector<std::string>& arguments, std::string* output = nullptr);
std::string bin(const std::string& program);  // of PostgreSQL

// A real PostgreSQL server in a data directory that the caller names. Killed at the end.
class LocalServer {
 public:
  static constexpr const char* kPassword = "sesame-open-9317";

  explicit LocalServer(fs::path data);
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  // A new cluster with checksums and scram passwords; `settings` are lines for postgresql.conf.
  void init(std::string_view settings = {});
  void start();         // and waits until it takes connections
  void kill();          // SIGKILL, all of its processes gone
  void stop();          // orderly, fast
  bool wait_for_end();  // of a server that ends by itself; its exit was clean

  const fs::path& data() const { return data_; }
  int port() const { return port_; }
  Config config() const;
  Result sql(std::string_view statement) const;
  std::string value(std::string_view query) const { return sql(query).text(0, 0); }
  std::string log() const;

 private:
  fs::path data_;
  int port_;
  pid_t pid_ = -1;
};

// Until `condition` holds; false after `seconds`.
template <typename F>
bool eventually(F&& condition, int seconds = 60) {
  const auto deadline = Deadline::after(Millis(seconds * 1000));
  while (!condition()) {
    if (deadline.passed()) return false;
    no_cancel().sleep_for(Millis(20));
  }
  return true;
}

}  // namespace lifeboat::postgres::test
