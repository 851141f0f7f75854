#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/thread.hpp"
#include "clickhouse/hold.hpp"

namespace lifeboat::clickhouse {
namespace {

using nlohmann::json;

constexpr std::string_view kDisarm = "disarm\n";
constexpr std::size_t kLongestOrder = 4 << 20;
constexpr Millis kTryFor{60000};

class SpawnActions {
 public:
  SpawnActions(int in, const Fd* keeps) {
    posix_spawn_file_actions_init(&files_);
    posix_spawn_file_actions_adddup2(&files_, in, 0);
    posix_spawn_file_actions_addopen(&files_, 1, "/dev/null", O_WRONLY, 0);
    // Not the caller's stderr: who reads that to its end must not wait for a watchdog.
    posix_spawn_file_actions_addopen(&files_, 2, "/dev/null", O_WRONLY, 0);
    if (keeps != nullptr) posix_spawn_file_actions_adddup2(&files_, keeps->get(), 3);
    posix_spawn_file_actions_addclosefrom_np(&files_, keeps != nullptr ? 4 : 3);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_,
                             static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK));
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&files_);
  }
  int run(const std::vector<std::string>& argv) {
    std::vector<char*> arguments;
    for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = -1;
    const int failure =
        posix_spawn(&pid, argv[0].c_str(), &files_, &attributes_, arguments.data(), environ);
    if (failure == EAGAIN) throw no_thread_for("the watchdog of ClickHouse's hold");
    if (failure != 0) throw system_error(failure, argv[0], "starting the watchdog");
    return pid;
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

// MSG_NOSIGNAL: a watchdog that is gone must not kill this process by SIGPIPE.
bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string order_of(const Config& config, const std::vector<TableRef>& tables) {
  json order = {{"url", config.url},
                {"user", config.user},
                {"password", config.password},
                {"connect_timeout", config.connect_timeout.count()},
                {"request_timeout", config.request_timeout.count()},
                {"tables", json::array()}};
  for (const auto& table : tables) order["tables"].push_back({table.database, table.name});
  return order.dump() + "\n";
}

std::string read_to_end(int fd) {
  std::string all;
  char part[4096];
  for (;;) {
    const auto n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return all;
    all.append(part, static_cast<std::size_t>(n));
    if (all.size() > kLongestOrder) return {};
    if (all.ends_with("\n" + std::string(kDisarm))) return all;
  }
}

bool start_all(const Config& config, const std::vector<TableRef>& tables) {
  const auto deadline = Deadline::after(kTryFor);
  const Cancel nobody;
  Client client(config);
  while (!deadline.passed()) {
    try {
      repair(client, tables);
      return true;
    } catch (const Error&) {
      nobody.sleep_for(Millis(200));
    }
  }
  return false;
}

}  // namespace

HoldWatchdog::HoldWatchdog(const std::vector<std::string>& argv, const Config& config,
                           const std::vector<TableRef>& tables, const Fd* keeps) {
  if (argv.empty()) throw Error(Code::usage, "watchdog", "no program is named");
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    throw system_error(errno, "watchdog", "opening a socket pair");
  }
  Fd ours(pair[0]), theirs(pair[1]);
  pid_ = SpawnActions(theirs.get(), keeps).run(argv);
  theirs.reset();
  fd_ = ours.release();
  if (!send_all(fd_, order_of(config, tables))) {
    ::close(std::exchange(fd_, -1));
    ::waitpid(pid_, nullptr, 0);
    throw Error(Code::failed, argv[0], "the watchdog ended at once");
  }
}

HoldWatchdog::~HoldWatchdog() {
  if (fd_ < 0) return;
  ::close(fd_);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void HoldWatchdog::disarm() {
  if (fd_ < 0) return;
  send_all(fd_, kDisarm);
  ::close(std::exchange(fd_, -1));
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

int run_watchdog(int fd) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  const std::string all = read_to_end(fd);
  const auto line = all.find('\n');
  if (line == std::string::npos) return 2;  // the parent died before it held anything
  if (std::string_view(all).substr(line + 1) == kDisarm) return 0;
  const auto order = json::parse(all.substr(0, line), nullptr, false);
  if (!order.is_object()) return 2;
  try {
    Config config;
    config.url = order.at("url").get<std::string>();
    config.user = order.at("user").get<std::string>();
    config.password = order.at("password").get<std::string>();
    config.connect_timeout = Millis(order.at("connect_timeout").get<std::int64_t>());
    config.request_timeout = Millis(order.at("request_timeout").get<std::int64_t>());
    std::vector<TableRef> tables;
    for (const auto& table : order.at("tables")) {
      tables.push_back({table.at(0).get<std::string>(), table.at(1).get<std::string>()});
    }
    if (!start_all(config, tables)) return 1;
    // The parent's last SYSTEM PAUSE may still have been on its way.
    Cancel().sleep_for(Millis(1000));
    return start_all(config, tables) ? 0 : 1;
  } catch (const std::exception&) {
    return 2;
  }
}

}  // namespace lifeboat::clickhouse
