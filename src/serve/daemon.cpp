#include "serve/daemon.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <thread>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "recovery/archive.hpp"
#include "recovery/backup.hpp"
#include "recovery/prune.hpp"
#include "serve/metrics.hpp"
#include "serve/schedule.hpp"
#include "serve/verify_thread.hpp"
#include "serve/watch.hpp"
#include "vault/points.hpp"

namespace lifeboat::serve {
namespace {

constexpr Millis kTick{1000};          // how soon a failed archiver is seen
constexpr Millis kStatusEvery{60000};  // in the log
constexpr Millis kPruneEvery{86'400'000};
constexpr Millis kPruneTick{60'000};

// Takes points on a thread of its own, so that a slow or failing one never stops the archiver.
class PointThread {
 public:
  PointThread(const recovery::Context& outer, vault::Vault vault)
      : outer_(outer),
        vault_(std::move(vault)),
        random_(outer.random.next()),
        thread_(start_thread("taking points", [this] { run(); })) {}
  PointThread(const PointThread&) = delete;
  PointThread& operator=(const PointThread&) = delete;
  ~PointThread() {
    cancel_.request();
    thread_.join();
  }
  // Asks it to stop: a point that is under way is given up, and what it holds is released.
  void request_stop() { cancel_.request(); }

 private:
  void run();
  void take_one_if_due(Timestamp now);
  void failed(const std::string& why);

  const recovery::Context& outer_;
  vault::Vault vault_;
  Random random_;  // Random is for one thread at a time
  Cancel cancel_;
  RunTimes times_;
  std::thread thread_;
};

void PointThread::run() {
  while (!cancel_.requested()) {
    const auto now = outer_.clock.now();
    const auto due = next_run_at(times_, outer_.config.point_every, now);
    if (due > now) {
      // Not longer than a minute at once: the wall clock may be set meanwhile.
      cancel_.sleep_for(std::min(Millis(due - now), kRetryAfter));
      continue;
    }
    try {
      take_one_if_due(now);
      times_.failed.reset();
    } catch (const Error& error) {
      if (error.code() == Code::cancelled && cancel_.requested()) return;
      failed(fmt::format("{}; next: {}", error.what(), error.hint()));
    } catch (const std::exception& error) {
      failed(error.what());
    }
  }
}

// A `backup` by hand counts too: the vault is asked before a point is taken.
void PointThread::take_one_if_due(Timestamp now) {
  for (const auto& listed : vault::list_points(vault_)) {
    if (listed.point) times_.newest = listed.point->created;
  }
  if (next_run_at({.newest = times_.newest, .failed = {}}, outer_.config.point_every, now) > now) {
    return;
  }
  const auto begun = outer_.clock.steady();
  recovery::Context context{outer_.config, outer_.clock, random_, cancel_, outer_.reporter};
  auto point =
      recovery::take_point(context, vault_, {.label = {}, .archiver_runs = true, .reread = false});
  times_.newest = point.created;
  spdlog::info("point {} taken in {:.1f} s", point.id,
               seconds_between(begun, outer_.clock.steady()));
}

void PointThread::failed(const std::string& why) {
  spdlog::error("no point was taken: {}", why);
  times_.failed = outer_.clock.now();
}

// Prunes once a day, on a thread of its own: nothing waits for it.
class PruneThread {
 public:
  PruneThread(const recovery::Context& outer, vault::Vault vault)
      : outer_(outer),
        vault_(std::move(vault)),
        random_(outer.random.next()),
        thread_(start_thread("pruning", [this] { run(); })) {}
  PruneThread(const PruneThread&) = delete;
  PruneThread& operator=(const PruneThread&) = delete;
  ~PruneThread() {
    cancel_.request();
    thread_.join();
  }

 private:
  void run();
  void prune();

  const recovery::Context& outer_;
  vault::Vault vault_;
  Random random_;
  Cancel cancel_;
  std::thread thread_;
};

// The first time soon: a daemon that is started anew every day prunes too.
void PruneThread::run() {
  auto next = outer_.clock.now() + kPruneTick.count();
  while (cancel_.sleep_for(kPruneTick)) {
    const auto now = outer_.clock.now();
    if (now < next && next - now <= kPruneEvery.count()) continue;
    next = now + kPruneEvery.count();
    try {
      prune();
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) return;
      spdlog::error("not pruned: {}; next: {}", error.what(), error.hint());
    }
  }
}

void PruneThread::prune() {
  recovery::Context context{outer_.config, outer_.clock, random_, cancel_, outer_.reporter};
  const auto report =
      recovery::prune(context, vault_, {.keep_logbook = false, .drop = {}, .unpin = {}}).report;
  for (const auto& problem : report.problems) spdlog::error("prune: {}", problem);
  for (const auto& id : report.revoked) {
    spdlog::warn("point {} was revoked: its backup was not finished in time", id);
  }
  for (const auto& pin : report.unpinned) {
    spdlog::warn("point {} is not kept any more for the restore on {}, which gave no sign of life",
                 pin.point.id, pin.host);
  }
  std::size_t packs = 0;
  for (const auto& step : report.steps) packs += step.packs;
  if (packs + report.dropped.size() == 0) return;
  spdlog::info("pruned: {} points dropped, {} packs deleted", report.dropped.size(), packs);
}

// What the operator would look for in the log.
class StatusLog {
 public:
  void tell(const recovery::ArchiveStatus& status, std::chrono::steady_clock::time_point now) {
    tell_changes("PostgreSQL", postgres_error_, status.postgres_error);
    tell_changes("the archivers' group", group_error_, status.group_error);
    tell_changes("the vault", vault_error_, status.vault_error.value_or(""));
    if (last_ && now - *last_ < kStatusEvery) return;
    last_ = now;
    std::int64_t behind = 0;
    for (const auto& log : status.logs) {
      if (!log.name.starts_with("kafka/")) continue;
      behind += std::max<std::int64_t>(0, log.source_end - log.durable);
    }
    spdlog::info("archiving {} logs, {} bytes written, {} Kafka records not yet durable",
                 status.logs.size(), status.written.value, behind);
  }

 private:
  static void tell_changes(const char* what, std::string& before, const std::string& now) {
    if (now == before) return;
    if (now.empty()) {
      spdlog::info("{} works again", what);
    } else {
      spdlog::warn("{}: {}; trying again", what, now);
    }
    before = now;
  }

  std::optional<std::chrono::steady_clock::time_point> last_;
  std::string postgres_error_;
  std::string group_error_;
  std::string vault_error_;
};

// A `backup` without a daemon archives for itself; when it has ended it is our turn.
std::optional<recovery::ArchiverLock> wait_for_backup(const recovery::Context& context) {
  bool told = false;
  while (!context.cancel.requested()) {
    if (auto lock = recovery::ArchiverLock::take(context.config)) return lock;
    if (!told) spdlog::info("a `lifeboat backup` archives just now; waiting for its end");
    told = true;
    context.cancel.sleep_for(Millis(200));
  }
  return std::nullopt;
}

// A machine that went down in the middle of a point leaves tables held and no watchdog. What cannot
// be reached now is looked after by the next point.
void release_what_a_crash_held(const recovery::Context& context) {
  try {
    recovery::repair_if_idle(context);
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    spdlog::warn("could not look for Kafka tables that a crash left held: {}", error.what());
  }
}

}  // namespace

void run_daemon(const recovery::Context& context, vault::Vault vault,
                const store::MeteredStore& store) {
  auto daemon = recovery::ArchiverLock::take_daemon(context.config);
  if (!daemon) {
    throw Error(Code::refused, context.config.file.string(),
                "another `lifeboat run` is alive with it",
                "stop that one first, or leave it: it archives already");
  }
  auto archiving = wait_for_backup(context);
  if (!archiving) return;  // cancelled
  release_what_a_crash_held(context);
  recovery::Archiver archiver(context, vault);
  std::optional<PointThread> points;
  if (context.config.point_every > Millis(0)) points.emplace(context, vault);
  std::optional<PruneThread> pruning;
  if (context.config.retention) pruning.emplace(context, vault);
  std::optional<VerifyThread> verifying;
  if (context.config.verify.every > Millis(0)) verifying.emplace(context, vault);
  spdlog::info("archiving into {}; {}", vault.store().describe(),
               points ? fmt::format("a point every {} s", context.config.point_every.count() / 1000)
                      : "no points");
  Watch watch(context, vault);
  std::optional<MetricsServer> metrics;
  if (!context.config.metrics_listen.empty()) {
    metrics.emplace(context.config.metrics_listen, [&] {
      return metrics_text(archiver.status(), watch.last(), context.clock.now()) +
             traffic_text(store.traffic());
    });
    spdlog::info("metrics at http://{}/metrics", context.config.metrics_listen);
  }
  StatusLog log;
  do {
    archiver.check();
    log.tell(archiver.status(), context.clock.steady());
  } while (context.cancel.sleep_for(kTick));
  spdlog::info("stopping: what was received is made durable");
  if (points) points->request_stop();
  archiver.stop();
}

}  // namespace lifeboat::serve
