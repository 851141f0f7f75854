// The restore of Kafka out of the logbook, as bench/restore_rows.py runs it; each prints one JSON
// line.
//
//   lifeboat_bench_restore payload FILE COUNT                 the drills' events, one a line
//   lifeboat_bench_restore create BOOTSTRAP TOPIC PARTITIONS
//   lifeboat_bench_restore produce BOOTSTRAP VAULT TOPIC INTO  TOPIC's logs into the empty INTO
//   lifeboat_bench_restore seed VAULT TOPIC FOLDER             TOPIC's logs as a broker's log dir
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <future>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "generate.hpp"
#include "kafka/admin.hpp"
#include "recovery/log_names.hpp"
#include "recovery/replay.hpp"
#include "recovery/seed.hpp"
#include "store/directory_store.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::bench {
namespace {

class Silent : public recovery::Reporter {
 public:
  void step_begins(const std::string&, const std::string&) override {}
  void step_ends(const std::string&, double) override {}
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
  void note(const std::string&) override {}
};

void payload(const std::string& file, std::uint64_t count) {
  loadgen::Generator generator(1);
  loadgen::Message message;
  std::ofstream out(file, std::ios::binary);
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < count;) {
    generator.next(message, 1'763'000'000'000'000 + i * 1000);
    if (message.topic != loadgen::Topic::events) continue;
    out << message.value << '\n';
    bytes += message.value.size();
    ++i;
  }
  if (!out.flush()) throw Error(Code::failed, file, "cannot be written");
  fmt::print("{{\"events\": {}, \"bytes\": {}}}\n", count, bytes);
}

void create(const std::string& bootstrap, const std::string& topic, int partitions) {
  kafka::Config config;
  config.bootstrap = {bootstrap};
  kafka::Admin(config, Clock::real())
      .create_topic(topic, partitions, 1,
                    {{"retention.ms", "-1"}, {"compression.type", "producer"}});
  fmt::print("{{}}\n");
}

void produce(const std::string& bootstrap, const std::string& place, const std::string& topic,
             const std::string& into) {
  recovery::Config config;
  config.kafka.emplace().bootstrap = {bootstrap};
  Random random;
  Cancel never;
  Silent silent;
  const recovery::Context context{config, Clock::real(), random, never, silent};
  store::DirectoryStore store(place);
  const auto logbook = vault::Logbook::load(vault::Vault::open(store));
  std::vector<recovery::ReplayedLog> logs;
  for (const auto& summary : logbook.logs()) {
    const auto log = recovery::parse_kafka_log(summary.log);
    if (!log || log->topic != topic) continue;
    logs.push_back(
        {*log, Offset(summary.first.value), Offset(summary.next.value), {into, log->partition}});
  }
  std::uint64_t bytes = 0;
  recovery::ReplayOptions options;
  options.progress = [&](std::uint64_t n) { bytes += n; };
  const auto begun = Clock::real().steady();
  const auto translations = recovery::replay(context, logbook, logs, options);
  const double seconds = seconds_between(begun, Clock::real().steady());
  std::int64_t records = 0;
  for (const auto& [tp, translation] : translations) records += translation.new_end().value;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  fmt::print("{{\"seconds\": {:.3f}, \"records\": {}, \"bytes\": {}, \"peak_mib\": {}}}\n", seconds,
             records, bytes, used.ru_maxrss / 1024);
}

// As the restore does it: two partitions at a time, durable.
void seed(const std::string& place, const std::string& topic, const std::filesystem::path& folder) {
  const recovery::Config config;
  Random random;
  Cancel never;
  Silent silent;
  const recovery::Context context{config, Clock::real(), random, never, silent};
  store::DirectoryStore store(place);
  const auto logbook = vault::Logbook::load(vault::Vault::open(store));
  std::vector<recovery::SeededLog> logs;
  for (const auto& summary : logbook.logs()) {
    const auto log = recovery::parse_kafka_log(summary.log);
    if (!log || log->topic != topic) continue;
    logs.push_back({*log, Offset(summary.first.value), Offset(summary.next.value)});
  }
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> bytes = 0;
  auto work = [&] {
    for (auto i = next++; i < logs.size(); i = next++) {
      const auto into = folder / fmt::format("{}-{}", topic, logs[i].log.partition.value);
      std::filesystem::create_directories(into);
      bytes += recovery::seed_log(context, logbook, logs[i], {into}, {}).bytes.value;
    }
  };
  const auto begun = Clock::real().steady();
  auto other = std::async(std::launch::async, work);
  work();
  other.get();
  fmt::print("{{\"seconds\": {:.3f}, \"bytes\": {}}}\n",
             seconds_between(begun, Clock::real().steady()), bytes.load());
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "payload") {
    payload(words[1], std::stoull(words[2]));
  } else if (words.size() == 4 && words[0] == "create") {
    create(words[1], words[2], std::stoi(words[3]));
  } else if (words.size() == 5 && words[0] == "produce") {
    produce(words[1], words[2], words[3], words[4]);
  } else if (words.size() == 4 && words[0] == "seed") {
    seed(words[1], words[2], words[3]);
  } else {
    fmt::print(stderr,
               "payload FILE COUNT | create BOOTSTRAP TOPIC PARTITIONS | "
               "produce BOOTSTRAP VAULT TOPIC INTO | seed VAULT TOPIC FOLDER\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace lifeboat::bench

int main(int argc, char** argv) {
  try {
    return lifeboat::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "lifeboat_bench_restore: {}\n", error.what());
    return 1;
  }
}
