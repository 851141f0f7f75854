#include "support/stack_fixture.hpp"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace lifeboat::test {
namespace {

// Generous: several stacks may start side by side on two cores.
constexpr int kStartSeconds = 300;
constexpr int kCommandSeconds = 300;
constexpr int kEndSeconds = 60;

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::runtime_error("stack.py: " + what + ": " + std::generic_category().message(error));
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ",") + name;
  return all;
}

std::filesystem::path temporary_folder() {
  auto name = (std::filesystem::temp_directory_path() / "lifeboat-stack-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) fail("mkdtemp " + name, errno);
  return name;
}

// The system's Python where there is one: a shim in PATH may be slow or another version.
std::string python() {
  return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
}

bool ended_within(pid_t pid, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (waitpid(pid, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    usleep(10'000);
  }
  return true;
}

}  // namespace

StackProcess& StackProcess::shared(std::initializer_list<std::string> servers) {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<StackProcess>> stacks;
  const std::lock_guard lock(mutex);
  for (const auto& stack : stacks) {
    const auto info = stack->info();
    const auto has = [&](const std::string& name) { return info.contains(name); };
    if (std::all_of(servers.begin(), servers.end(), has)) return *stack;
  }
  stacks.push_back(std::make_unique<StackProcess>(std::vector<std::string>(servers)));
  return *stacks.back();
}

StackProcess::StackProcess(std::vector<std::string> servers, std::filesystem::path folder,
                           std::vector<std::string> options)
    : servers_(std::move(servers)), folder_(std::move(folder)), options_(std::move(options)) {
  const bool own = folder_.empty();
  if (own) folder_ = temporary_folder();
  try {
    spawn(own && getenv("LIFEBOAT_KEEP_STACK") == nullptr);
    const auto answer = nlohmann::json::parse(read_line(kStartSeconds));
    if (!answer.contains("ready")) throw std::runtime_error("stack.py said " + answer.dump());
  } catch (...) {
    end();
    throw;
  }
}

StackProcess::~StackProcess() {
  end();
}

nlohmann::json StackProcess::info() const {
  const auto path = folder_ / "stack.json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return nlohmann::json::parse(file);
}

nlohmann::json StackProcess::command(const std::string& line) {
  const std::lock_guard lock(mutex_);
  const std::string text = line + "\n";
  if (send(socket_, text.data(), text.size(), MSG_NOSIGNAL) != ssize_t(text.size())) {
    fail("cannot send \"" + line + "\"", errno);
  }
  auto answer = nlohmann::json::parse(read_line(kCommandSeconds));
  if (!answer.value("ok", false)) {
    throw std::runtime_error(line + ": " + answer.value("error", answer.dump()));
  }
  return answer;
}

void StackProcess::spawn(bool temporary) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair", errno);
  socket_ = ends[0];
  std::vector<std::string> words = {python(),
                                    LIFEBOAT_SOURCE_DIR "/stack/stack.py",
                                    "run",
                                    "--dir",
                                    folder_.string(),
                                    "--servers",
                                    joined(servers_)};
  if (temporary) words.emplace_back("--temporary");
  words.insert(words.end(), options_.begin(), options_.end());
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int error =
      posix_spawnp(&pid_, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    pid_ = -1;
    fail("cannot run " + words[0], error);
  }
}

void StackProcess::end() noexcept {
  if (socket_ >= 0) close(socket_);  // the end of its input ends the stack
  socket_ = -1;
  if (pid_ > 0 && !ended_within(pid_, kEndSeconds)) {
    kill(pid_, SIGKILL);  // its servers die with it
    waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
}

std::string StackProcess::read_line(int timeout_seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_seconds);
  for (;;) {
    if (const auto at = unread_.find('\n'); at != std::string::npos) {
      std::string line = unread_.substr(0, at);
      unread_.erase(0, at + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wait = {socket_, POLLIN, 0};
    const int ready = poll(&wait, 1, int(std::max<long>(0, long(left.count()))));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) fail("no answer", ready < 0 ? errno : ETIMEDOUT);
    char buffer[4096];
    const ssize_t got = read(socket_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("stack.py ended; its message is on standard error");
    unread_.append(buffer, size_t(got));
  }
}

}  // namespace lifeboat::test
