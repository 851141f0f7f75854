#include "kafka/broker_tools.hpp"

#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "kafka/client.hpp"

namespace lifeboat::kafka::test {

namespace {

void check(rd_kafka_error_t* error, const std::string& doing) {
  if (error == nullptr) return;
  const std::string text = rd_kafka_error_string(error);
  rd_kafka_error_destroy(error);
  throw std::runtime_error(doing + ": " + text);
}

void send(rd_kafka_t* client, const TopicPartition& tp, int i, const std::string& text) {
  const auto key = "k" + std::to_string(i);
  const auto value =
      text + "-" + std::to_string(i) + "-" + std::string(static_cast<std::size_t>(i % 50), 'x');
  const auto code = rd_kafka_producev(
      client, RD_KAFKA_V_TOPIC(tp.topic.c_str()), RD_KAFKA_V_PARTITION(tp.partition.value),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.data(), key.size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
      RD_KAFKA_V_HEADER("team", "7", 1), RD_KAFKA_V_END);
  if (code != 0) throw std::runtime_error(rd_kafka_err2str(code));
}

void count_failure(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  if (message->err != 0) ++*static_cast<std::atomic<int>*>(opaque);
}

// Runs an admin call and waits for its event.
Event admin_call(const Config& config,
                 const std::function<void(rd_kafka_t*, rd_kafka_queue_t*)>& call) {
  auto client = make_client(RD_KAFKA_PRODUCER, client_conf(config, {}));
  Queue queue(rd_kafka_queue_new(client.get()));
  call(client.get(), queue.get());
  Event event(rd_kafka_queue_poll(queue.get(), 30000));
  if (!event || rd_kafka_event_error(event.get()) != 0) throw std::runtime_error("admin call");
  return event;
}

}  // namespace

Config config_of(const lifeboat::test::StackProcess& stack) {
  Config config;
  config.bootstrap = {stack.info()["kafka"]["bootstrap"].get<std::string>()};
  config.request_timeout = Millis(30000);
  return config;
}

std::string fresh_name(const std::string& prefix) {
  static std::atomic<int> count = 0;
  return prefix + "-" + std::to_string(++count);
}

bool wait_until(const std::function<bool()>& condition, Millis most) {
  const auto deadline = Deadline::after(most);
  const Cancel never;
  while (!condition()) {
    if (deadline.passed()) return false;
    never.sleep_for(Millis(20));
  }
  return true;
}

void produce(const Config& config, const TopicPartition& tp, const ProducePlan& plan) {
  std::atomic<int> failures = 0;
  auto conf = client_conf(config,
                          {{"compression.codec", plan.codec},
                           {"batch.num.messages", std::to_string(plan.per_batch)},
                           {"linger.ms", "50"}},
                          &failures);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), count_failure);
  auto client = make_client(RD_KAFKA_PRODUCER, std::move(conf));
  for (int i = 0; i < plan.records; ++i) send(client.get(), tp, i, plan.text);
  const auto code = rd_kafka_flush(client.get(), 60000);
  if (code != 0 || failures != 0) throw std::runtime_error("not all records were acknowledged");
}

struct TransactionWriter::State {
  explicit State(const Config& config)
      : client(make_client(RD_KAFKA_PRODUCER,
                           client_conf(config, {{"transactional.id", fresh_name("tx")}}))),
        cluster(config, Clock::real()) {}
  Client client;
  Cluster cluster;
};

TransactionWriter::TransactionWriter(const Config& config)
    : state_(std::make_unique<State>(config)) {
  // A coordinator that is just starting refuses the first times.
  const auto ready = wait_until([&] {
    auto* error = rd_kafka_init_transactions(state_->client.get(), 10000);
    if (error != nullptr) rd_kafka_error_destroy(error);
    return error == nullptr;
  });
  if (!ready) throw std::runtime_error("no transaction coordinator");
}
TransactionWriter::~TransactionWriter() = default;

void TransactionWriter::write(const TopicPartition& tp, int records, Ending ending) {
  auto* client = state_->client.get();
  check(rd_kafka_begin_transaction(client), "begin");
  const std::string text = ending == Ending::commit ? "committed" : "aborted";
  for (int i = 0; i < records; ++i) send(client, tp, i, text);
  rd_kafka_flush(client, 60000);
  const auto end = [&] { return state_->cluster.offsets({tp}).at(tp).high_watermark; };
  const auto flushed = end();
  check(ending == Ending::commit ? rd_kafka_commit_transaction(client, 60000)
                                 : rd_kafka_abort_transaction(client, 60000),
        "end of transaction");
  // It is told before its marker lies in the log.
  if (!wait_until([&] { return end() > flushed; })) throw std::runtime_error("no marker");
}

void delete_records(const Config& config, const TopicPartition& tp, Offset before) {
  const auto list = make_list({{tp, before}});
  rd_kafka_DeleteRecords_t* asked = rd_kafka_DeleteRecords_new(list.get());
  admin_call(config, [&](auto* client, auto* queue) {
    rd_kafka_DeleteRecords(client, &asked, 1, nullptr, queue);
  });
  rd_kafka_DeleteRecords_destroy(asked);
}

void add_partitions(const Config& config, const std::string& topic, int total) {
  char why[256];
  rd_kafka_NewPartitions_t* asked =
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<std::size_t>(total), why, sizeof why);
  admin_call(config, [&](auto* client, auto* queue) {
    rd_kafka_CreatePartitions(client, &asked, 1, nullptr, queue);
  });
  rd_kafka_NewPartitions_destroy(asked);
}

std::string kcat(const Config& config, const std::string& arguments) {
  const auto command = "kcat -b " + config.bootstrap.front() + " " + arguments + " 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run kcat");
  std::string output;
  std::array<char, 65536> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), n);
  }
  if (pclose(pipe) != 0) throw std::runtime_error(command);
  return output;
}

std::vector<std::pair<Offset, std::string>> consume(const Config& config,
                                                    const TopicPartition& tp) {
  std::istringstream lines(kcat(
      config, "-C -q -e -o beginning -t " + tp.topic + " -p " + std::to_string(tp.partition.value) +
                  " -X isolation.level=read_committed -f '%o\\t%T\\t%k\\t%h\\t%s\\n'"));
  std::vector<std::pair<Offset, std::string>> records;
  for (std::string line; std::getline(lines, line);) {
    const auto tab = line.find('\t');
    records.emplace_back(Offset(std::stoll(line.substr(0, tab))), line.substr(tab + 1));
  }
  return records;
}

std::string segment_bytes(const std::filesystem::path& data, const TopicPartition& tp) {
  std::vector<std::filesystem::path> files;
  const auto folder = data / (tp.topic + "-" + std::to_string(tp.partition.value));
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".log") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::ostringstream bytes;
  for (const auto& path : files) bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

GroupConsumer::GroupConsumer(const Config& config, const std::string& group,
                             const std::string& topic, const std::string& strategy)
    : file_(std::filesystem::temp_directory_path() /
            (fresh_name("lifeboat-kcat-" + std::to_string(getpid())))) {
  std::vector<std::string> words = {"kcat",
                                    "-b",
                                    config.bootstrap.front(),
                                    "-X",
                                    "partition.assignment.strategy=" + strategy,
                                    "-X",
                                    "session.timeout.ms=45000",
                                    "-u",
                                    "-G",
                                    group,
                                    topic};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, file_.c_str(),
                                   O_CREAT | O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const int error = posix_spawnp(&pid_, "kcat", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot run kcat");
}

GroupConsumer::~GroupConsumer() {
  kill();
  std::filesystem::remove(file_);
}

std::string GroupConsumer::output() const {
  std::ostringstream text;
  text << std::ifstream(file_).rdbuf();
  return text.str();
}

void GroupConsumer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

struct StubbornConsumer::Member {
  Client client;
};

StubbornConsumer::StubbornConsumer(const Config& config, const std::string& group,
                                   const std::string& topic) {
  auto client = make_client(RD_KAFKA_CONSUMER,
                            client_conf(config, {{"group.id", group},
                                                 {"partition.assignment.strategy", "range"},
                                                 {"enable.auto.commit", "false"},
                                                 {"auto.offset.reset", "earliest"}}));
  rd_kafka_poll_set_consumer(client.get());
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(client.get(), list.get());
  member_ = std::make_unique<Member>(Member{std::move(client)});
  thread_ = std::thread([this] {
    while (!stop_) {
      auto* message = rd_kafka_consumer_poll(member_->client.get(), 50);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL) ++refusals_;
      if (message->err == 0) {
        std::lock_guard lock(mutex_);
        seen_[{rd_kafka_topic_name(message->rkt), PartitionId(message->partition)}].emplace_back(
            message->offset);
      }
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(member_->client.get());
  });
}

StubbornConsumer::~StubbornConsumer() {
  stop_ = true;
  thread_.join();
}

std::map<TopicPartition, std::vector<Offset>> StubbornConsumer::seen() const {
  std::lock_guard lock(mutex_);
  return seen_;
}

Offset RememberingSink::resume_at(const LogId& log, Offset log_start) {
  const auto at = resume ? resume(log, log_start) : log_start;
  std::lock_guard lock(mutex_);
  latest_.insert_or_assign(log.topic_partition(), log);
  auto& seen = logs_[log];
  if (seen.next < Offset(0)) seen.base = seen.next = at;
  return seen.next;
}

void RememberingSink::on_batches(FetchedRange&& range) {
  if (on_range) on_range(range);
  std::lock_guard lock(mutex_);
  auto& seen = logs_[range.log];
  if (range.base > seen.next) throw std::runtime_error("a hole that no one told of");
  if (seen.bytes.empty()) seen.base = range.base;
  seen.bytes += range.bytes;
  seen.next = range.next;
}

void RememberingSink::on_gap(const LogId& log, Offset from, Offset to, std::string) {
  std::lock_guard lock(mutex_);
  logs_[log].gaps.emplace_back(from, to);
  logs_[log].next = to;
}

void RememberingSink::on_state(const LogId& log, Offset fetched, Offset high_watermark) {
  std::lock_guard lock(mutex_);
  if (logs_[log].next != fetched) throw std::runtime_error("state and batches disagree");
  logs_[log].high_watermark = high_watermark;
}

bool RememberingSink::on_diverged(const LogId& log, const Divergence& divergence) {
  std::lock_guard lock(mutex_);
  logs_[log].diverged = true;
  logs_[log].divergence = divergence;
  if (!after_divergence) return false;
  logs_[log].base = logs_[log].next = after_divergence(divergence);
  logs_[log].bytes.clear();
  return true;
}

std::map<LogId, RememberingSink::Log> RememberingSink::logs() const {
  std::lock_guard lock(mutex_);
  return logs_;
}

std::optional<RememberingSink::Log> RememberingSink::log(const TopicPartition& tp) const {
  std::lock_guard lock(mutex_);
  const auto id = latest_.find(tp);
  if (id == latest_.end()) return std::nullopt;
  return logs_.at(id->second);
}

bool RememberingSink::reached(const TopicPartition& tp, Offset end) const {
  const auto seen = log(tp);
  return seen && seen->next == end && seen->high_watermark == end;
}

RunningFetcher::RunningFetcher(const Config& config, const std::string& topics, FetchSink& sink)
    : RunningFetcher(config, FetchOptions{.include = {topics}, .metadata_refresh = Millis(200)},
                     sink) {}

RunningFetcher::RunningFetcher(const Config& config, FetchOptions options, FetchSink& sink)
    : fetcher_(config, std::move(options), sink, Clock::real()), thread_([this] {
        try {
          fetcher_.run(cancel_);
        } catch (...) {
          std::lock_guard lock(mutex_);
          failure_ = std::current_exception();
        }
      }) {}

void RunningFetcher::stop() {
  cancel_.request();
  if (thread_.joinable()) thread_.join();
}

std::exception_ptr RunningFetcher::failure() {
  std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace lifeboat::kafka::test
