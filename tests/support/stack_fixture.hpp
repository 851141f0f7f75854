#pragma once

#include <sys/types.h>

#include <filesystem>
#include <initializer_list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lifeboat::test {

// Real servers for a test: runs `stack/stack.py run …` (its protocol: stack/README.md) and ends it,
// with all its servers and their data, when this object or this process ends, also by a crash.
//
// Servers are "zookeeper", "kafka" (brings zookeeper), "postgres", "clickhouse". Everything throws
// std::runtime_error. Safe for several threads: commands run one after the other.
class StackProcess {
 public:
  // A stack that has at least these servers and lives until the end of the test program. Tests that
  // kill or wipe a server should use one of their own.
  static StackProcess& shared(std::initializer_list<std::string> servers);

  // Returns when all servers answer. Without a folder: a temporary one, deleted at the end (kept
  // when LIFEBOAT_KEEP_STACK is set in the environment). `options` as of stack.py: {"--kafka", "4",
  // "--brokers", "3"}; further brokers are the servers "kafka-1", "kafka-2".
  explicit StackProcess(std::vector<std::string> servers, std::filesystem::path folder = {},
                        std::vector<std::string> options = {});
  ~StackProcess();

  StackProcess(const StackProcess&) = delete;
  StackProcess& operator=(const StackProcess&) = delete;

  // What stack.json says now: info()["kafka"]["bootstrap"], …; pids change with each start.
  nlohmann::json info() const;

  // "start NAME", "stop NAME", "kill NAME" (SIGKILL), "wipe NAME", "status". Returns the answer
  // when it is done; throws when it is {"ok": false}.
  nlohmann::json command(const std::string& line);

  const std::filesystem::path& folder() const { return folder_; }

 private:
  void spawn(bool temporary);
  void end() noexcept;
  std::string read_line(int timeout_seconds);

  std::vector<std::string> servers_;
  std::filesystem::path folder_;
  std::vector<std::string> options_;
  mutable std::mutex mutex_;
  pid_t pid_ = -1;
  int socket_ = -1;  // its standard input and output
  std::string unread_;
};

}  // namespace lifeboat::test
