#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "generate.hpp"
#include "ledger.hpp"
#include "pace.hpp"

struct rd_kafka_s;
struct rd_kafka_message_s;

namespace loadgen {

struct KafkaStatus {
  std::string state;  ///< running, connecting, paused, stopped
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
  std::uint64_t epoch = 0;  ///< lives of the producer so far
};

/// Produces messages at a set rate, in a thread of its own. An idempotent producer makes no
/// duplicates while it lives; when a message fails, or on `pause`, the producer ends, what it had
/// not got acknowledged is *unknown* and is never sent again, and a fresh producer with fresh
/// messages begins when all topics are to be seen. pause, resume, stop and status may be called
/// from any thread; the first three return when it is so.
class KafkaLoad {
 public:
  KafkaLoad(std::string bootstrap, double rate, std::uint64_t seed, Ledger& ledger);
  ~KafkaLoad();
  KafkaLoad(const KafkaLoad&) = delete;
  KafkaLoad& operator=(const KafkaLoad&) = delete;

  void pause();
  void resume();
  void stop();
  [[nodiscard]] KafkaStatus status() const;

 private:
  enum class Wish { run, pause, stop };
  enum class State { connecting, running, paused, stopped };
  struct DestroyProducer {
    void operator()(rd_kafka_s* producer) const;
  };

  void run();
  void wish(Wish wish);
  void reach(State state);
  void connect();
  [[nodiscard]] bool topics_are_there() const;
  void produce_while_wished();
  void produce_one();
  void end_producer();
  void on_report(const rd_kafka_message_s& report);
  void breaks(const std::string& why);

  std::string bootstrap_;
  Ledger& ledger_;
  Generator generator_;
  Pace pace_;
  Message message_;
  std::unique_ptr<rd_kafka_s, DestroyProducer> producer_;
  bool broken_ = false;
  std::string why_broken_;
  std::uint16_t epochs_ = 0;

  std::atomic<std::uint64_t> sent_ = 0;
  std::atomic<std::uint64_t> acknowledged_ = 0;
  std::atomic<std::uint64_t> unknown_ = 0;
  std::atomic<Wish> wish_ = Wish::run;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::connecting;
  std::thread thread_;
};

}  // namespace loadgen
