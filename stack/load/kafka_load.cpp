#include "kafka_load.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace loadgen {
namespace {

constexpr auto kTick = std::chrono::milliseconds(5);
constexpr std::uint64_t kMostOutstanding = 20'000;
constexpr int kFlushOnPauseMs = 1000;
constexpr int kFlushOnStopMs = 15'000;
constexpr int kPurgeMs = 3000;

constexpr std::array<std::array<const char*, 2>, 9> kSettings = {{
    {"enable.idempotence", "true"},  // implies acks=all and keeps the order of each partition
    {"acks", "all"},
    {"compression.type", "lz4"},
    {"linger.ms", "50"},
    {"message.timeout.ms", "30000"},
    {"socket.timeout.ms", "5000"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "500"},
    {"log_level", "2"},
}};

// A report's opaque carries topic and seq: 8 bits and 56.
void* opaque(Topic topic, std::uint64_t seq) {
  return reinterpret_cast<void*>((static_cast<std::uint64_t>(topic) << 56) | seq);
}

rd_kafka_t* new_producer(const std::string& bootstrap, void* self,
                         void (*report)(rd_kafka_t*, const rd_kafka_message_t*, void*)) {
  std::array<char, 512> why{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const auto set = [&](const char* name, const char* value) {
    if (rd_kafka_conf_set(conf, name, value, why.data(), why.size()) != RD_KAFKA_CONF_OK)
      throw std::runtime_error(why.data());
  };
  set("bootstrap.servers", bootstrap.c_str());
  for (const auto& [name, value] : kSettings) set(name, value);
  rd_kafka_conf_set_opaque(conf, self);
  rd_kafka_conf_set_dr_msg_cb(conf, report);
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
  if (producer == nullptr) throw std::runtime_error(why.data());
  return producer;
}

}  // namespace

void KafkaLoad::DestroyProducer::operator()(rd_kafka_s* producer) const {
  rd_kafka_destroy(producer);
}

KafkaLoad::KafkaLoad(std::string bootstrap, double rate, std::uint64_t seed, Ledger& ledger)
    : bootstrap_(std::move(bootstrap)),
      ledger_(ledger),
      generator_(seed),
      pace_(rate),
      thread_([this] { run(); }) {}

KafkaLoad::~KafkaLoad() {
  stop();
  thread_.join();
}

void KafkaLoad::run() {
  while (wish_ != Wish::stop) {
    if (wish_ == Wish::pause) {
      reach(State::paused);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return wish_ != Wish::pause; });
      continue;
    }
    connect();
    if (producer_) produce_while_wished();
    end_producer();
  }
  reach(State::stopped);
}

void KafkaLoad::wish(Wish wish) {
  const std::lock_guard lock(mutex_);
  if (wish_ != Wish::stop) wish_ = wish;
  changed_.notify_all();
}

void KafkaLoad::reach(State state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  changed_.notify_all();
}

void KafkaLoad::pause() {
  wish(Wish::pause);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return state_ == State::paused || state_ == State::stopped; });
}

void KafkaLoad::resume() {
  wish(Wish::run);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return state_ != State::paused; });
}

void KafkaLoad::stop() {
  wish(Wish::stop);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return state_ == State::stopped; });
}

KafkaStatus KafkaLoad::status() const {
  constexpr std::array<const char*, 4> kNames = {"connecting", "running", "paused", "stopped"};
  const std::lock_guard lock(mutex_);
  return {kNames[static_cast<std::size_t>(state_)], sent_, acknowledged_, unknown_, epochs_};
}

void KafkaLoad::connect() {
  reach(State::connecting);
  producer_.reset(
      new_producer(bootstrap_, this, [](rd_kafka_t*, const rd_kafka_message_t* report, void* self) {
        static_cast<KafkaLoad*>(self)->on_report(*report);
      }));
  broken_ = false;
  why_broken_.clear();
  // A broker that makes topics by itself must not make them with a wrong number of partitions:
  // nothing is produced before all are listed.
  while (wish_ == Wish::run && !topics_are_there())
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (wish_ != Wish::run) return producer_.reset();
  {
    const std::lock_guard lock(mutex_);
    generator_.begin_epoch(epochs_++);
  }
  ledger_.journal("producer begins", fmt::format("\"epoch\":{}", epochs_ - 1));
}

bool KafkaLoad::topics_are_there() const {
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(producer_.get(), 1, nullptr, &metadata, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return false;
  std::size_t found = 0;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    for (std::size_t topic = 0; topic < kTopics; ++topic) {
      if (std::strcmp(metadata->topics[i].topic, kTopicNames[topic]) != 0) continue;
      if (static_cast<std::uint32_t>(metadata->topics[i].partition_cnt) == kPartitions[topic])
        ++found;
    }
  }
  rd_kafka_metadata_destroy(metadata);
  return found == kTopics;
}

void KafkaLoad::produce_while_wished() {
  pace_.restart();
  reach(State::running);
  while (wish_ == Wish::run && !broken_) {
    const auto outstanding = static_cast<std::uint64_t>(rd_kafka_outq_len(producer_.get()));
    std::uint64_t due = pace_.take_due();
    // A broker that stands still gets no more than this: the rest of the rate is dropped, not put
    // off.
    if (outstanding >= kMostOutstanding) due = 0;
    for (; due > 0 && !broken_; --due) produce_one();
    rd_kafka_poll(producer_.get(), 0);
    std::array<char, 256> why{};
    if (rd_kafka_fatal_error(producer_.get(), why.data(), why.size()) != RD_KAFKA_RESP_ERR_NO_ERROR)
      breaks(why.data());
    std::this_thread::sleep_for(kTick);
  }
}

void KafkaLoad::produce_one() {
  generator_.next(message_, now_us());
  std::visit([this](const auto& record) { ledger_.sent(record); }, message_.record);
  ++sent_;
  const auto error = rd_kafka_producev(
      producer_.get(), RD_KAFKA_V_TOPIC(kTopicNames[static_cast<std::size_t>(message_.topic)]),
      RD_KAFKA_V_PARTITION(message_.partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(message_.key.data(), message_.key.size()),
      RD_KAFKA_V_VALUE(message_.value.data(), message_.value.size()),
      RD_KAFKA_V_TIMESTAMP(message_.timestamp_ms),
      RD_KAFKA_V_OPAQUE(opaque(message_.topic, message_.seq)), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  // It never left, but the ledger has named it.
  ledger_.answered(message_.topic,
                   {message_.seq, now_us(), -1, message_.partition, Answer::unknown, 0});
  ++unknown_;
  breaks(rd_kafka_err2str(error));
}

void KafkaLoad::on_report(const rd_kafka_message_s& report) {
  const auto word = reinterpret_cast<std::uint64_t>(report._private);
  const auto topic = static_cast<Topic>(word >> 56);
  const bool acknowledged = report.err == RD_KAFKA_RESP_ERR_NO_ERROR && report.offset >= 0;
  ledger_.answered(topic, {word & ((1ULL << 56) - 1), now_us(), acknowledged ? report.offset : -1,
                           static_cast<std::uint16_t>(report.partition),
                           acknowledged ? Answer::acknowledged : Answer::unknown, 0});
  ++(acknowledged ? acknowledged_ : unknown_);
  if (!acknowledged) breaks(rd_kafka_err2str(report.err));
}

void KafkaLoad::breaks(const std::string& why) {
  if (!broken_) why_broken_ = why;
  broken_ = true;
}

void KafkaLoad::end_producer() {
  if (!producer_) return;
  if (!broken_)
    rd_kafka_flush(producer_.get(), wish_ == Wish::stop ? kFlushOnStopMs : kFlushOnPauseMs);
  rd_kafka_purge(producer_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(producer_.get(), kPurgeMs);
  producer_.reset();
  ledger_.journal("producer ends",
                  fmt::format("\"epoch\":{},\"broken\":\"{}\"", epochs_ - 1, why_broken_));
}

}  // namespace loadgen
