#include "options.hpp"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace loadgen {

const char* const kUsage = R"(usage:
  lifeboat-load --stack FILE --ledger DIR [--events-rate N] [--transactions-rate N]
                [--seed N] [--no-kafka] [--no-postgres] [--duration SECONDS]
  lifeboat-load create-topics --stack FILE NAME:PARTITIONS...
  lifeboat-load group-lag --stack FILE [--group NAME] NAME:PARTITIONS...

While it runs, lines on stdin steer it, each answered by one JSON line on stdout:
  pause kafka | resume kafka | pause postgres | resume postgres | status | stop
It stops on `stop`, SIGINT, SIGTERM and the end of stdin (with --duration the end of
stdin is no reason), writes out what is under way and closes the ledger.
)";

namespace {

class Arguments {
 public:
  Arguments(int argc, char** argv) : next_(argv + 1), end_(argv + argc) {}
  bool more() const { return next_ != end_; }
  std::string_view take() { return *next_++; }
  std::string value(std::string_view option) {
    if (!more()) throw std::invalid_argument(fmt::format("{} needs a value", option));
    return std::string(take());
  }
  double number(std::string_view option) {
    const std::string given = value(option);
    std::size_t used = 0;
    double number = -1;
    try {
      number = std::stod(given, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || used != given.size() || !(number >= 0))
      throw std::invalid_argument(fmt::format("{} needs a number from 0, not '{}'", option, given));
    return number;
  }

 private:
  char** next_;
  char** end_;
};

bool take_option(Options& options, Arguments& arguments, std::string_view option) {
  if (option == "--stack")
    options.stack = arguments.value(option);
  else if (option == "--ledger")
    options.ledger = arguments.value(option);
  else if (option == "--events-rate")
    options.events_rate = arguments.number(option);
  else if (option == "--transactions-rate")
    options.transactions_rate = arguments.number(option);
  else if (option == "--seed")
    options.seed = static_cast<std::uint64_t>(arguments.number(option));
  else if (option == "--duration")
    options.duration_seconds = arguments.number(option);
  else if (option == "--group")
    options.group = arguments.value(option);
  else if (option == "--no-kafka")
    options.kafka = false;
  else if (option == "--no-postgres")
    options.postgres = false;
  else if (option == "--help" || option == "-h")
    options.verb = Verb::help;
  else
    return false;
  return true;
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  options.seed =
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  Arguments arguments(argc, argv);
  while (arguments.more()) {
    const std::string_view word = arguments.take();
    if (take_option(options, arguments, word)) continue;
    if (word.starts_with("-")) throw std::invalid_argument(fmt::format("unknown option {}", word));
    if (word == "create-topics")
      options.verb = Verb::create_topics;
    else if (word == "group-lag")
      options.verb = Verb::group_lag;
    else
      options.rest.emplace_back(word);
  }
  if (options.verb == Verb::help) return options;
  if (options.stack.empty()) throw std::invalid_argument("--stack is missing");
  if (options.verb == Verb::load && options.ledger.empty())
    throw std::invalid_argument("--ledger is missing");
  if (options.verb == Verb::load && !options.rest.empty())
    throw std::invalid_argument(fmt::format("unknown word '{}'", options.rest.front()));
  return options;
}

Stack read_stack(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(fmt::format("{} cannot be read", path.string()));
  const auto json = nlohmann::json::parse(file);
  const auto& postgres = json.at("postgres");
  Stack stack;
  stack.bootstrap = json.at("kafka").at("bootstrap").get<std::string>();
  stack.postgres = fmt::format(
      "host={} port={} user={} password={} dbname={} connect_timeout=2 tcp_user_timeout=5000 "
      "application_name=lifeboat-load",
      postgres.at("host").get<std::string>(), postgres.at("port").get<int>(),
      postgres.at("user").get<std::string>(), postgres.at("password").get<std::string>(),
      postgres.at("database").get<std::string>());
  return stack;
}

}  // namespace loadgen
