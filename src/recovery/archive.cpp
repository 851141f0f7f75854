#include "recovery/archive.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "kafka/fetcher.hpp"
#include "kafka/group_share.hpp"
#include "postgres/wal_receiver.hpp"
#include "recovery/extent_attributes.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/group_sampler.hpp"
#include "recovery/log_names.hpp"
#include "recovery/logbook_keeping.hpp"
#include "recovery/state_folder.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_writer.hpp"

namespace lifeboat::recovery {
namespace {

constexpr Millis kHandOver{5000};  // given to make durable what another archiver takes over

// What is known of each log; shared by the sinks, the writer's callback and status().
class Ledger {
 public:
  explicit Ledger(vault::Logbook logbook) : logbook_(std::move(logbook)) { find_branches(); }

  // Where to go on with a log: after what was received in this run, else after what the vault has.
  std::optional<Position> resume(const vault::LogName& log) {
    std::lock_guard lock(mutex_);
    auto it = logs_.find(log.value);
    if (it != logs_.end()) return it->second.received;
    return logbook_.next(log);
  }
  // Of the last batch before resume(); -1 when it is not known.
  kafka::LeaderEpoch last_epoch(const vault::LogName& log) {
    std::lock_guard lock(mutex_);
    auto held = logbook_.next(log);
    auto it = logs_.find(log.value);
    if (!held || (it != logs_.end() && it->second.received > *held)) return kafka::LeaderEpoch(-1);
    for (const auto& gap : logbook_.gaps(log)) {
      if (gap.to == *held) return kafka::LeaderEpoch(-1);  // no batch lies just before
    }
    auto attributes = logbook_.last_attributes(log);
    auto facts = attributes ? parse_attributes(*attributes) : std::nullopt;
    return facts && !facts->epochs.empty() ? facts->epochs.back().epoch : kafka::LeaderEpoch(-1);
  }
  // What is durable, also by another archiver: what was only received must not be acknowledged.
  std::optional<Position> durable_beside_others(const vault::LogName& log) {
    std::lock_guard lock(mutex_);
    logbook_.refresh();
    return logbook_.next(log);
  }
  // These partitions change hands: where to go on is asked of the vault again.
  void hand_over(const std::vector<kafka::TopicPartition>& partitions) {
    std::set<kafka::TopicPartition> moved(partitions.begin(), partitions.end());
    std::lock_guard lock(mutex_);
    logbook_.refresh();
    find_branches();
    std::erase_if(logs_, [&](const auto& entry) {
      vault::LogName name{entry.first};
      auto log = parse_kafka_log(name);
      if (auto branch = parse_kafka_branch(name)) log = branch->log;
      return log && moved.contains(log->topic_partition());
    });
  }

  // Under which name a partition is archived now: since it was cut back, under another one.
  vault::LogName name_of(const kafka::LogId& log) {
    std::lock_guard lock(mutex_);
    auto it = branches_.find(log);
    return it == branches_.end() ? log_name(log) : log_name_since(log, it->second.epoch);
  }
  // Where a branch that holds nothing yet begins; nullopt: at the log's start.
  std::optional<Offset> branch_start(const kafka::LogId& log) {
    std::lock_guard lock(mutex_);
    auto it = branches_.find(log);
    return it == branches_.end() ? std::nullopt : it->second.start;
  }
  vault::LogName branch_off(const kafka::LogId& log, kafka::LeaderEpoch epoch,
                            std::optional<Offset> start) {
    std::lock_guard lock(mutex_);
    auto& branch = branches_[log];
    // The same leader may be cut back twice in its epoch, by a lost disk.
    branch = {std::max(epoch, branch.epoch + 1), start};
    return log_name_since(log, branch.epoch);
  }

  void received(const vault::LogName& log, Position next, Position source_end) {
    std::lock_guard lock(mutex_);
    auto& entry = at(log);
    entry.received = std::max(entry.received, next);
    entry.source_end = std::max(entry.source_end, source_end);
  }
  void durable(const vault::LogName& log, Position next) {
    std::lock_guard lock(mutex_);
    auto& entry = at(log);
    entry.durable = std::max(entry.durable, next);
  }
  std::vector<ArchivedLog> all() const {
    std::lock_guard lock(mutex_);
    std::vector<ArchivedLog> out;
    for (const auto& [name, log] : logs_) out.push_back(log);
    return out;
  }

 private:
  ArchivedLog& at(const vault::LogName& log) {
    auto [it, fresh] = logs_.try_emplace(log.value);
    if (fresh) {
      Position held = logbook_.next(log).value_or(Position(0));
      it->second = {log.value, held, held, held};
    }
    return it->second;
  }

  struct Branch {
    kafka::LeaderEpoch epoch{-1};
    std::optional<Offset> start;
  };
  void find_branches() {
    for (const auto& log : logbook_.logs()) {
      auto found = parse_kafka_branch(log.log);
      if (!found) continue;
      auto& branch = branches_[found->log];
      if (found->epoch > branch.epoch) branch = {found->epoch, {}};
    }
  }

  mutable std::mutex mutex_;
  vault::Logbook logbook_;
  std::map<kafka::LogId, Branch> branches_;
  std::map<std::string, ArchivedLog> logs_;
};

class KafkaToLogbook : public kafka::FetchSink {
 public:
  KafkaToLogbook(Ledger& ledger, vault::LogbookWriter& writer, const Cancel& cancel)
      : ledger_(ledger), writer_(writer), cancel_(cancel) {}

  Offset resume_at(const kafka::LogId& log, Offset log_start) override {
    if (auto held = ledger_.resume(ledger_.name_of(log))) return Offset(held->value);
    return ledger_.branch_start(log).value_or(log_start);
  }
  kafka::LeaderEpoch resume_epoch(const kafka::LogId& log) override {
    return ledger_.last_epoch(ledger_.name_of(log));
  }
  void on_batches(kafka::FetchedRange&& range) override {
    auto name = ledger_.name_of(range.log);
    vault::Extent extent{name,
                         Position(range.base.value),
                         Position(range.next.value),
                         range.min_timestamp,
                         range.max_timestamp,
                         to_attributes(range.facts)};
    writer_.append(extent, {range.bytes, std::move(range.buffer), range.crc32c}, cancel_);
    ledger_.received(name, extent.next, Position(range.high_watermark.value));
  }
  void on_gap(const kafka::LogId& log, Offset from, Offset to, std::string why) override {
    spdlog::error("gap: {} [{}, {}) is lost for the vault: {}", kafka::to_string(log), from.value,
                  to.value, why);
    auto name = ledger_.name_of(log);
    writer_.gap({name, Position(from.value), Position(to.value), why});
    ledger_.received(name, Position(to.value), Position(to.value));
  }
  void on_state(const kafka::LogId& log, Offset fetched, Offset high_watermark) override {
    ledger_.received(ledger_.name_of(log), Position(fetched.value), Position(high_watermark.value));
  }
  bool on_diverged(const kafka::LogId& log, const kafka::Divergence& d) override {
    auto old = ledger_.name_of(log);
    auto name = ledger_.branch_off(log, d.epoch, d.same_below);
    spdlog::error(
        "{} was cut back and written anew: archived up to {}, the broker's log ends at {} ({}). "
        "What "
        "is archived stays as {}; the log as it is now is archived as {}{}",
        kafka::to_string(log), d.fetched.value, d.log_end.value, d.why, old.value, name.value,
        d.same_below ? fmt::format(", from {} on", d.same_below->value) : ", all of it");
    return true;
  }

 private:
  Ledger& ledger_;
  vault::LogbookWriter& writer_;
  const Cancel& cancel_;
};

class WalToLogbook : public postgres::WalSink {
 public:
  WalToLogbook(Ledger& ledger, vault::LogbookWriter& writer, Clock& clock, const Cancel& cancel)
      : ledger_(ledger), writer_(writer), clock_(clock), cancel_(cancel) {}

  std::optional<Lsn> resume_at(std::uint64_t system, TimelineId timeline) override {
    auto held = ledger_.durable_beside_others(wal_log_name({system, timeline}));
    if (!held) return std::nullopt;
    return Lsn(static_cast<std::uint64_t>(held->value));
  }
  void on_wal(std::uint64_t system, TimelineId timeline, Lsn start,
              std::string_view bytes) override {
    append(wal_log_name({system, timeline}), static_cast<std::int64_t>(start.value), bytes);
  }
  void on_history(std::uint64_t system, TimelineId timeline, std::string_view file) override {
    auto name = history_log_name({system, timeline});
    if (!ledger_.durable_beside_others(name)) append(name, 0, file);
  }
  void on_gap(std::uint64_t system, TimelineId timeline, Lsn from, Lsn to,
              std::string_view why) override {
    spdlog::error("gap: WAL of timeline {} from {} to {} is lost for the vault: {}", timeline.value,
                  to_string(from), to_string(to), why);
    auto name = wal_log_name({system, timeline});
    Position end(static_cast<std::int64_t>(to.value));
    writer_.gap({name, Position(static_cast<std::int64_t>(from.value)), end, std::string(why)});
    ledger_.received(name, end, end);
  }

 private:
  void append(const vault::LogName& name, std::int64_t start, std::string_view bytes) {
    Timestamp now = clock_.now();
    Position next(start + static_cast<std::int64_t>(bytes.size()));
    writer_.append({name, Position(start), next, now, now, {}}, bytes, cancel_);
    ledger_.received(name, next, next);
  }

  Ledger& ledger_;
  vault::LogbookWriter& writer_;
  Clock& clock_;
  const Cancel& cancel_;
};

vault::LogbookOptions logbook_options(const Config& config) {
  vault::LogbookOptions options;
  options.flush_bytes = config.flush_bytes;
  options.flush_interval = config.flush_interval;
  options.max_buffered = ByteCount(config.flush_bytes.value * 5 / 2);
  return options;
}

}  // namespace

struct Archiver::Impl {
  Impl(const Context& c, vault::Vault v)
      : context(c),
        keeping(context, v),
        ledger(load(v)),
        writer(v, logbook_options(c.config), c.clock, c.random, log_policy()) {}
  ~Impl() { join(); }

  vault::Logbook load(vault::Vault v) {
    keeping.catch_up();
    return vault::Logbook::load(v);
  }
  void start(Archive what);
  void told_durable(const std::vector<vault::Extent>& extents);
  void guard(std::exception_ptr error);
  void share_the_work(kafka::FetchOptions& options);
  void give_up(const std::vector<kafka::TopicPartition>& partitions);
  template <typename F>
  void thread(F body) {
    threads.push_back(start_thread("archiving", [this, body = std::move(body)] {
      try {
        body();
      } catch (const Error& e) {
        if (e.code() != Code::cancelled) guard(std::current_exception());
      } catch (...) {
        guard(std::current_exception());
      }
    }));
  }
  void join() {
    cancel.request();
    for (auto& t : threads) t.join();
    threads.clear();
  }

  Context context;
  LogbookKeeping keeping;
  Ledger ledger;
  Cancel cancel;
  vault::LogbookWriter writer;
  std::unique_ptr<kafka::GroupShare> share;
  std::unique_ptr<kafka::Fetcher> fetcher;
  std::unique_ptr<KafkaToLogbook> kafka_sink;
  std::unique_ptr<WalToLogbook> wal_sink;
  std::unique_ptr<postgres::WalReceiver> receiver;
  std::unique_ptr<GroupSampler> sampler;
  std::vector<std::thread> threads;
  mutable std::mutex mutex;
  std::exception_ptr failure;
  bool closed = false;
};

void Archiver::Impl::guard(std::exception_ptr error) {
  std::lock_guard lock(mutex);
  if (!failure) failure = std::move(error);
}

void Archiver::Impl::told_durable(const std::vector<vault::Extent>& extents) {
  for (const auto& extent : extents) {
    ledger.durable(extent.log, extent.next);
    auto wal = parse_wal_log(extent.log);
    if (wal && receiver) {
      receiver->durable(wal->system_identifier, wal->timeline,
                        Lsn(static_cast<std::uint64_t>(extent.next.value)));
    }
  }
}

// The next owner begins after what is durable: the more of it is, the less is fetched twice.
void Archiver::Impl::give_up(const std::vector<kafka::TopicPartition>& partitions) {
  Cancel late;
  Cancel done;
  std::thread timer = start_thread("giving up partitions", [&] {
    if (done.sleep_for(kHandOver)) late.request();
  });
  std::exception_ptr failed;
  try {
    writer.flush(late);
  } catch (const Error& error) {
    if (error.code() != Code::cancelled) failed = std::current_exception();
    spdlog::warn("{} partitions were given up before what was received is durable: {}",
                 partitions.size(), error.what());
  }
  done.request();
  timer.join();
  if (failed) std::rethrow_exception(failed);
  ledger.hand_over(partitions);
}

void Archiver::Impl::share_the_work(kafka::FetchOptions& options) {
  const Config& config = context.config;
  kafka::GroupShareOptions group;
  group.group = config.kafka->archiver_group;
  group.instance_file = config.state / "archiver-instance";
  group.include = options.include;
  group.exclude = options.exclude;
  share = std::make_unique<kafka::GroupShare>(
      kafka_config(config), group, [this](const auto& gained) { ledger.hand_over(gained); },
      [this](const auto& lost) { give_up(lost); }, context.clock);
  options.share = share.get();
}

void Archiver::Impl::start(Archive what) {
  const Config& config = context.config;
  if (config.postgres && what == Archive::all) {
    wal_sink = std::make_unique<WalToLogbook>(ledger, writer, context.clock, cancel);
    receiver = std::make_unique<postgres::WalReceiver>(
        postgres_config(config), config.postgres->slot, *wal_sink, context.clock);
  }
  if (config.kafka) {
    kafka::FetchOptions options;
    options.include = config.kafka->include;
    options.exclude = config.kafka->exclude;
    if (!config.kafka->archiver_group.empty()) share_the_work(options);
    kafka_sink = std::make_unique<KafkaToLogbook>(ledger, writer, cancel);
    fetcher =
        std::make_unique<kafka::Fetcher>(kafka_config(config), options, *kafka_sink, context.clock);
    sampler = std::make_unique<GroupSampler>(kafka_config(config), writer, context.clock);
  }
  writer.on_durable([this](const auto& extents) { told_durable(extents); });
  thread([this] { keeping.run(writer, cancel); });
  if (receiver) thread([this] { receiver->run(cancel); });
  if (fetcher) {
    if (share) thread([this] { share->run(cancel); });
    thread([this] { fetcher->run(cancel); });
    thread([this] { sampler->run(context.config.flush_interval, cancel); });
  }
}

Archiver::Archiver(const Context& context, vault::Vault vault, Archive what)
    : impl_(std::make_unique<Impl>(context, vault)) {
  impl_->start(what);
}

Archiver::~Archiver() = default;

void Archiver::check() const {
  std::lock_guard lock(impl_->mutex);
  if (impl_->failure) std::rethrow_exception(impl_->failure);
}

void Archiver::flush() {
  impl_->writer.flush(impl_->context.cancel);
}

ArchiveStatus Archiver::status() const {
  ArchiveStatus out;
  out.logs = impl_->ledger.all();
  auto writer = impl_->writer.status();
  out.vault_error = writer.failing;
  out.written = writer.stored_bytes;
  if (impl_->share) out.group_error = impl_->share->status().problem;
  out.objects = writer.objects;
  if (impl_->receiver) out.postgres_error = impl_->receiver->status().last_error;
  return out;
}

void Archiver::stop() {
  if (impl_->closed) return;
  impl_->join();
  // The user's own cancel must not keep back what was received: it ends by itself, the writer's
  // destructor would drop it.
  Cancel nobody;
  impl_->writer.close(nobody);
  impl_->closed = true;
  check();
}

namespace {

Fd lock_or_nothing(const Config& config, const char* name) {
  make_state_folder(config);
  Fd fd = open_file(config.state / name, O_RDWR | O_CREAT);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return Fd();
  throw system_error(errno, (config.state / name).string(), "cannot lock");
}

}  // namespace

std::optional<ArchiverLock> ArchiverLock::take(const Config& config) {
  Fd fd = lock_or_nothing(config, "archiver.lock");
  if (!fd) return std::nullopt;
  return ArchiverLock(std::move(fd));
}

std::optional<ArchiverLock> ArchiverLock::take_daemon(const Config& config) {
  Fd fd = lock_or_nothing(config, "run.lock");
  if (!fd) return std::nullopt;
  return ArchiverLock(std::move(fd));
}

}  // namespace lifeboat::recovery
