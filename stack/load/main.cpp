#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "admin.hpp"
#include "kafka_load.hpp"
#include "ledger.hpp"
#include "options.hpp"
#include "postgres_load.hpp"

namespace loadgen {
namespace {

using nlohmann::json;

void say(const json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

/// The load and its ledger. `stop` ends both.
class Load {
 public:
  Load(const Options& options, const Stack& stack) : ledger_(options.ledger) {
    ledger_.journal(
        "opened",
        fmt::format("\"seed\":{},\"events_rate\":{},\"transactions_rate\":{},\"kafka\":{},"
                    "\"postgres\":{}",
                    options.seed, options.events_rate, options.transactions_rate, options.kafka,
                    options.postgres));
    if (options.kafka)
      kafka_ =
          std::make_unique<KafkaLoad>(stack.bootstrap, options.events_rate, options.seed, ledger_);
    if (options.postgres)
      postgres_ = std::make_unique<PostgresLoad>(stack.postgres, options.transactions_rate,
                                                 options.seed, ledger_);
  }

  [[nodiscard]] json answer(const std::string& command) {
    if (command == "status") return status();
    const auto space = command.find(' ');
    const std::string verb = command.substr(0, space);
    const std::string store = space == std::string::npos ? "" : command.substr(space + 1);
    if (verb != "pause" && verb != "resume")
      return {{"ok", false}, {"error", "unknown command: " + command}};
    ledger_.journal(verb + " " + (store == "kafka" || store == "postgres" ? store : "?"), "");
    if (store == "kafka" && kafka_)
      verb == "pause" ? kafka_->pause() : kafka_->resume();
    else if (store == "postgres" && postgres_)
      verb == "pause" ? postgres_->pause() : postgres_->resume();
    else
      return {{"ok", false}, {"error", "no such store in this load: " + store}};
    return status();
  }

  [[nodiscard]] json stop() {
    if (postgres_) postgres_->stop();
    if (kafka_) kafka_->stop();
    ledger_.close();
    json last = status();
    last["stopped"] = true;
    return last;
  }

 private:
  [[nodiscard]] json status() const {
    json out = {{"ok", true}, {"at", static_cast<double>(now_us()) / 1e6}};
    if (kafka_) {
      const KafkaStatus s = kafka_->status();
      out["kafka"] = {{"state", s.state},
                      {"sent", s.sent},
                      {"acknowledged", s.acknowledged},
                      {"unknown", s.unknown},
                      {"epochs", s.epoch}};
    }
    if (postgres_) {
      const PostgresStatus s = postgres_->status();
      out["postgres"] = {{"state", s.state},
                         {"begun", s.begun},
                         {"acknowledged", s.acknowledged},
                         {"absent", s.absent},
                         {"unknown", s.unknown}};
    }
    return out;
  }

  Ledger ledger_;  // first: it outlives those that write to it
  std::unique_ptr<KafkaLoad> kafka_;
  std::unique_ptr<PostgresLoad> postgres_;
};

/// Lines of stdin, until the end of the file, a signal or a deadline.
class Commands {
 public:
  Commands(int signals, std::optional<double> seconds) : signals_(signals) {
    if (seconds)
      deadline_ =
          std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                 std::chrono::duration<double>(*seconds));
  }

  [[nodiscard]] std::optional<std::string> next() {
    while (true) {
      if (const auto end = waiting_.find('\n'); end != std::string::npos) {
        std::string line = waiting_.substr(0, end);
        waiting_.erase(0, end + 1);
        return line;
      }
      if (!read_more()) return std::nullopt;
    }
  }

 private:
  bool read_more() {
    std::array<pollfd, 2> fds = {
        {{signals_, POLLIN, 0}, {stdin_open_ ? STDIN_FILENO : -1, POLLIN, 0}}};
    const int ready = ::poll(fds.data(), fds.size(), wait_ms());
    if (ready < 0) return errno == EINTR;
    if (ready == 0 || fds[0].revents != 0) return false;
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got > 0) waiting_.append(buffer.data(), static_cast<std::size_t>(got));
    if (got > 0) return true;
    stdin_open_ = false;
    return deadline_.has_value();
  }

  [[nodiscard]] int wait_ms() const {
    if (!deadline_) return -1;
    const auto left = *deadline_ - std::chrono::steady_clock::now();
    return std::max(0,
                    static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }

  int signals_;
  bool stdin_open_ = true;
  std::string waiting_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

int run_load(const Options& options) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  // Before any thread begins, so that all inherit it.
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const int signals = signalfd(-1, &set, SFD_CLOEXEC);

  Load load(options, read_stack(options.stack));
  say({{"ready", true}, {"ledger", options.ledger.string()}, {"seed", options.seed}});
  Commands commands(signals, options.duration_seconds);
  while (const auto command = commands.next()) {
    if (command->empty()) continue;
    if (*command == "stop") break;
    say(load.answer(*command));
  }
  say(load.stop());
  ::close(signals);
  return 0;
}

int run(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  switch (options.verb) {
    case Verb::load:
      return run_load(options);
    case Verb::create_topics:
      create_topics(read_stack(options.stack).bootstrap, options.rest);
      return 0;
    case Verb::group_lag:
      fmt::print("{}\n",
                 group_lag(read_stack(options.stack).bootstrap, options.group, options.rest));
      return 0;
    case Verb::help:
      fmt::print("{}", kUsage);
      return 0;
  }
  return 2;
}

}  // namespace
}  // namespace loadgen

int main(int argc, char** argv) {
  try {
    return loadgen::run(argc, argv);
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "lifeboat-load: {}\n{}", error.what(), loadgen::kUsage);
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "lifeboat-load: {}\n", error.what());
    return 1;
  }
}
