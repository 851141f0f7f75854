// The logbook's Kafka side, as bench/logbook.py runs it; each prints one JSON line.
//
//   lifeboat_bench_logbook fill BOOTSTRAP TOPIC MEBIBYTES CODEC     the drills' events, keyed
//   lifeboat_bench_logbook archive BOOTSTRAP TOPICS VAULT           until all of it is durable
//   lifeboat_bench_logbook trickle BOOTSTRAP TOPIC PARTITIONS N SECONDS   N events/s to each
//   lifeboat_bench_logbook follow BOOTSTRAP TOPICS VAULT SECONDS    archives for so long
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "generate.hpp"
#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "recovery/archive.hpp"
#include "recovery/log_names.hpp"
#include "store/directory_store.hpp"
#include "vault/logbook.hpp"

namespace lifeboat::bench {
namespace {

struct DestroyProducer {
  void operator()(rd_kafka_t* producer) const { rd_kafka_destroy(producer); }
};
using Producer = std::unique_ptr<rd_kafka_t, DestroyProducer>;

std::string delivery_failure;

kafka::Config reach(const std::string& bootstrap) {
  kafka::Config config;
  config.bootstrap = {bootstrap};
  config.request_timeout = Millis(120'000);  // a thousand partitions are not made at once
  return config;
}

void create(const std::string& bootstrap, const std::string& topic, int partitions) {
  kafka::Admin(reach(bootstrap), Clock::real()).create_topic(topic, partitions, 1, {});
}

// As an application would: batches of up to a mebibyte, all that 100 ms bring.
Producer make_producer(const std::string& bootstrap, const std::string& codec) {
  std::array<char, 512> why{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"bootstrap.servers", bootstrap},
                                          {"compression.codec", codec},
                                          {"linger.ms", "100"},
                                          {"batch.size", "1000000"},
                                          {"acks", "all"},
                                          {"queue.buffering.max.kbytes", "262144"}}) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) !=
        RD_KAFKA_CONF_OK) {
      throw std::runtime_error(why.data());
    }
  }
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
    if (message->err != 0) delivery_failure = rd_kafka_err2str(message->err);
  });
  Producer producer(rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size()));
  if (!producer) throw std::runtime_error(why.data());
  return producer;
}

void send(rd_kafka_t* producer, const std::string& topic, std::int32_t partition,
          const loadgen::Message& message) {
  for (;;) {
    auto error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY(message.key.data(), message.key.size()),
        RD_KAFKA_V_VALUE(const_cast<char*>(message.value.data()), message.value.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) throw std::runtime_error(rd_kafka_err2str(error));
    rd_kafka_poll(producer, 10);
  }
}

void finish(rd_kafka_t* producer) {
  if (rd_kafka_flush(producer, 300'000) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      !delivery_failure.empty()) {
    throw std::runtime_error("not everything was taken by the broker: " + delivery_failure);
  }
}

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(Clock::real().now().value) * 1000;
}

void fill(const std::string& bootstrap, const std::string& topic, std::uint64_t mebibytes,
          const std::string& codec) {
  create(bootstrap, topic, loadgen::kPartitions[0]);
  auto producer = make_producer(bootstrap, codec);
  loadgen::Generator generator(1);
  generator.begin_epoch(1);
  loadgen::Message message;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  while (bytes < mebibytes << 20) {
    generator.next(message, now_us());
    if (message.topic != loadgen::Topic::events) continue;
    send(producer.get(), topic, message.partition, message);
    bytes += message.key.size() + message.value.size();
    if (++records % 1000 == 0) rd_kafka_poll(producer.get(), 0);
  }
  finish(producer.get());
  fmt::print("{{\"records\": {}, \"bytes\": {}}}\n", records, bytes);
}

// The same number of events to each partition, once a second.
void trickle(const std::string& bootstrap, const std::string& topic, int partitions, int events,
             int seconds) {
  create(bootstrap, topic, partitions);
  auto producer = make_producer(bootstrap, "lz4");
  loadgen::Generator generator(1);
  generator.begin_epoch(1);
  loadgen::Message message;
  std::uint64_t bytes = 0;
  Cancel nobody;
  for (int second = 0; second < seconds; ++second) {
    for (int i = 0; i < partitions * events; ++i) {
      generator.next(message, now_us());
      send(producer.get(), topic, i % partitions, message);
      bytes += message.key.size() + message.value.size();
    }
    rd_kafka_poll(producer.get(), 0);
    nobody.sleep_for(Millis(1000));
  }
  finish(producer.get());
  fmt::print("{{\"bytes\": {}}}\n", bytes);
}

class Silent : public recovery::Reporter {
 public:
  void step_begins(const std::string&, const std::string&) override {}
  void step_ends(const std::string&, double) override {}
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
  void note(const std::string& text) override { fmt::print(stderr, "{}\n", text); }
};

recovery::Config config(const std::string& bootstrap, const std::string& topics,
                        const std::string& place) {
  return recovery::parse_config(fmt::format("vault: {}\n"
                                            "kafka:\n"
                                            "  bootstrap: [\"{}\"]\n"
                                            "  include: [\"{}\"]\n",
                                            place, bootstrap, topics),
                                "bench.yaml");
}

// Calls `enough` every few milliseconds until it is; then stops the archiver in order.
template <typename F>
recovery::ArchiveStatus archive_until(const recovery::Config& config, F&& enough) {
  store::DirectoryStore::create(config.vault.directory);
  store::DirectoryStore store(config.vault.directory);
  Random random;
  Silent silent;
  Cancel cancel;
  auto vault = vault::Vault::create(store, Clock::real(), random);
  recovery::Archiver archiver({config, Clock::real(), random, cancel, silent}, vault);
  while (!enough(archiver)) {
    archiver.check();
    cancel.sleep_for(Millis(2));
  }
  archiver.stop();
  return archiver.status();
}

void report(const recovery::Config& config, const recovery::ArchiveStatus& status) {
  store::DirectoryStore store(config.vault.directory);
  std::uint64_t records = 0;
  for (const auto& log : status.logs) {
    if (log.name.starts_with("kafka/")) records += static_cast<std::uint64_t>(log.durable.value);
  }
  std::uint64_t objects = 0;
  store.list("logbook/", [&](const store::ObjectInfo&) { ++objects; });
  fmt::print("{{\"records\": {}, \"objects\": {}, \"stored\": {}}}\n", records, objects,
             status.written.value);
}

void archive(const std::string& bootstrap, const std::string& topics, const std::string& place) {
  auto settings = config(bootstrap, topics, place);
  std::map<kafka::TopicPartition, kafka::PartitionOffsets> wanted;
  {
    kafka::Cluster cluster(reach(bootstrap), Clock::real());
    std::vector<kafka::TopicPartition> partitions;
    const auto info = cluster.metadata();
    const auto* topic = info.topic(topics);
    if (topic == nullptr) throw Error(Code::not_found, "topic " + topics, "is not there");
    for (const auto& p : topic->partitions) partitions.push_back({topics, p.id});
    wanted = cluster.offsets(partitions);
  }
  auto reached = [&](const recovery::Archiver& archiver) {
    std::size_t done = 0;
    for (const auto& log : archiver.status().logs) {
      auto id = recovery::parse_kafka_log(vault::LogName{log.name});
      if (id && log.received.value >= wanted.at(id->topic_partition()).high_watermark.value) ++done;
    }
    return done == wanted.size();
  };
  report(settings, archive_until(settings, reached));
}

void follow(const std::string& bootstrap, const std::string& topics, const std::string& place,
            int seconds) {
  auto settings = config(bootstrap, topics, place);
  const auto begun = Clock::real().steady();
  auto passed = [&](const recovery::Archiver&) {
    return seconds_between(begun, Clock::real().steady()) >= seconds;
  };
  report(settings, archive_until(settings, passed));
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 5 && words[0] == "fill") {
    fill(words[1], words[2], std::stoull(words[3]), words[4]);
  } else if (words.size() == 4 && words[0] == "archive") {
    archive(words[1], words[2], words[3]);
  } else if (words.size() == 6 && words[0] == "trickle") {
    trickle(words[1], words[2], std::stoi(words[3]), std::stoi(words[4]), std::stoi(words[5]));
  } else if (words.size() == 5 && words[0] == "follow") {
    follow(words[1], words[2], words[3], std::stoi(words[4]));
  } else {
    fmt::print(stderr,
               "fill BOOTSTRAP TOPIC MEBIBYTES CODEC | archive BOOTSTRAP TOPIC VAULT | "
               "trickle BOOTSTRAP TOPIC PARTITIONS EVENTS SECONDS | "
               "follow BOOTSTRAP TOPIC VAULT SECONDS\n");
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
    fmt::print(stderr, "lifeboat_bench_logbook: {}\n", error.what());
    return 1;
  }
}
