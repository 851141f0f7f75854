#include "recovery/backup.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <optional>

#include "base/error.hpp"
#include "base/host.hpp"
#include "clickhouse/hold.hpp"
#include "clickhouse/restore.hpp"
#include "postgres/server.hpp"
#include "recovery/apply.hpp"
#include "recovery/archive.hpp"
#include "recovery/heartbeat.hpp"
#include "recovery/log_names.hpp"
#include "recovery/point_locks.hpp"
#include "recovery/restore_lock.hpp"
#include "recovery/state_folder.hpp"
#include "recovery/unpublished_backups.hpp"
#include "vault/logbook.hpp"
#include "vault/proof.hpp"
#include "vault/prune_logs.hpp"
#include "vault/prune_word.hpp"

namespace lifeboat::recovery {
namespace {

// One point at a time on this machine: holds and BACKUP folders found by the next one are nobody's.
class BackupLock {
 public:
  // Waits until it is had.
  explicit BackupLock(const Context& c) {
    bool told = false;
    while (!try_lock(c.config)) {
      if (!told) c.reporter.note("another point is being taken; waiting until it is written");
      told = true;
      c.cancel.sleep_for(Millis(200));
      c.cancel.check();
    }
  }
  // nullopt: somebody else takes a point.
  static std::optional<BackupLock> take(const Config& config) {
    BackupLock lock;
    if (!lock.try_lock(config)) return std::nullopt;
    return lock;
  }

 private:
  BackupLock() = default;
  bool try_lock(const Config& config) {
    make_state_folder(config);
    auto path = config.state / "backup.lock";
    if (!fd_) fd_ = open_file(path, O_RDWR | O_CREAT);
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK || errno == EINTR) return false;
    throw system_error(errno, path.string(), "cannot lock");
  }

  Fd fd_;
};

// Nothing is left of an unfinished point, nor of its BACKUP, which only the point's name leads to:
// it goes last. False: it was published.
bool withdraw(const Context& c, const vault::Vault& vault, const std::string& id) {
  const auto now = c.clock.now();
  const auto revoked = vault::revoke_point(vault, id, now, "it was withdrawn by its backup");
  if (revoked == vault::Revoked::published) return false;
  remove_unpublished_backups(c.config, id);
  vault::withdraw_point(vault, id, now);
  return true;
}

// The point in the vault while it is being taken: open from the beginning, withdrawn unless it is
// published.
class OpenPoint {
 public:
  OpenPoint(const Context& c, vault::Vault vault, const std::string& label)
      : c_(c), vault_(std::move(vault)) {
    point.id = vault::make_point_id(c.clock, c.random);
    point.created = c.clock.now();
    point.label = label;
    vault::open_point(
        vault_,
        {point.id, point.created, label, host_name(), c.config.state.string(), ::getpid(), {}, ""});
    alive_.emplace(c.config, "point " + point.id, [this] { return beat(); });
  }
  OpenPoint(const OpenPoint&) = delete;
  OpenPoint& operator=(const OpenPoint&) = delete;
  ~OpenPoint() {
    alive_.reset();
    if (published_) return;
    try {
      if (!withdraw(c_, vault_, point.id)) {
        c_.reporter.note("point " + point.id + " was written all the same");
      }
    } catch (const std::exception& error) {
      spdlog::warn("the unfinished point {} stays until the next backup: {}", point.id,
                   error.what());
    }
  }

  void publish() {
    alive_.reset();
    point.finished = c_.clock.now();
    vault::publish_point(vault_, point);
    published_ = true;
  }

  vault::RecoveryPoint point;

 private:
  bool beat() {
    if (vault::renew_point(vault_, point.id, c_.clock.now())) return true;
    spdlog::error("point {} was taken for dead by prune, and will not be finished", point.id);
    return false;
  }

  const Context& c_;
  vault::Vault vault_;
  std::optional<Heartbeat> alive_;
  bool published_ = false;
};

// Open points of this machine and state folder are nobody's: the caller holds BackupLock.
void withdraw_own(const Context& c, const vault::Vault& vault) {
  for (const auto& one : vault::list_all_points(vault).unfinished) {
    if (one.host != host_name() || one.folder != c.config.state.string()) continue;
    try {
      withdraw(c, vault, one.id);
      spdlog::info("withdrew point {}, which an interrupted backup had left unfinished", one.id);
    } catch (const Error& error) {  // who may not delete leaves it to prune
      if (error.code() != Code::denied) throw;
    }
  }
}

Error lacks_wal(const vault::LogName& log, const std::string& why) {
  return Error(Code::failed, log.value, "the logbook lacks WAL that the base backup needs: " + why,
               "run `lifeboat backup` again; `lifeboat check` says whether the slot keeps WAL");
}

// Waits until the logbook holds the WAL that makes the base backup consistent.
void wait_for_wal(const Context& c, const vault::Vault& vault, const nlohmann::json& document,
                  const vault::PrunedLogs& condemned, const Archiver* archiver) {
  vault::RecoveryPoint logs;
  logs.stores["postgres"] = document;
  auto logbook = vault::Logbook::load(vault);
  for (const auto& need : vault::logs_of(logs)) {
    if (!need.until) continue;
    while (true) {
      auto next = logbook.next(need.log);
      if (next && *next >= *need.until) break;
      if (archiver) archiver->check();
      c.cancel.sleep_for(Millis(50));
      c.cancel.check();
      logbook.refresh();
    }
    if (auto why = vault::why_lacking(logbook, condemned, need)) throw lacks_wal(need.log, *why);
  }
}

}  // namespace

void repair_after_crash(const Context& c) {
  if (!c.config.clickhouse) return;
  clickhouse::Client client(clickhouse_config(c.config));
  auto graph = clickhouse::read_schema(client, c.config.clickhouse->databases);
  refuse_while_detached(c.config, graph);
  clickhouse::repair(client, clickhouse::kafka_table_refs(graph));
  clickhouse::BackupPlace place{c.config.clickhouse->backup_disk, c.config.clickhouse->backup_path};
  for (const auto& name : clickhouse::unfinished_backups(place)) {
    clickhouse::kill_backup(client, name, Deadline::after(Millis(60000)));
    clickhouse::remove_backup(place, name);
    spdlog::info("removed {}, which an interrupted backup had left", name);
  }
}

bool repair_if_idle(const Context& c) {
  auto no_restore = RestoreLock::for_point(c.config);
  if (!no_restore) return false;
  auto lock = BackupLock::take(c.config);
  if (!lock) return false;
  repair_after_crash(c);
  return true;
}

vault::RecoveryPoint take_point(const Context& c, vault::Vault vault,
                                const BackupRequest& request) {
  const Config& config = c.config;
  auto no_restore = RestoreLock::for_point(config);
  if (!no_restore) {
    throw Error(Code::refused, config.file.string(), "a restore is under way with it",
                "take the point when it has ended");
  }
  BackupLock one_at_a_time(c);
  step(c, "repair", "Look after what an interrupted backup left", [&] {
    withdraw_own(c, vault);
    repair_after_crash(c);
  });
  OpenPoint open(c, vault, request.label);
  auto& point = open.point;

  // The logs must be archived while the snapshots are taken: by the daemon, or here.
  std::optional<ArchiverLock> lock;
  if (!request.archiver_runs) lock = ArchiverLock::take(config);
  if (config.postgres) {
    postgres::ensure_slot(postgres_config(config), config.postgres->slot, c.cancel);
  }
  std::optional<Archiver> archiver;
  if (lock) archiver.emplace(c, vault);

  // The words are read before the packs are listed, and after the point is open (docs/prune.md).
  vault::ChunkOptions chunk_options;
  chunk_options.absent = vault::condemned_packs(vault);
  for (auto& pack : vault::damaged_packs(vault)) chunk_options.absent.insert(std::move(pack));
  const auto condemned = vault::condemned_logs(vault);
  vault::Chunks chunks(vault, chunk_options);
  if (config.zookeeper) {
    step(c, "zookeeper", "Copy ZooKeeper's tree",
         [&] { point.stores["zookeeper"] = snapshot_zookeeper(c, chunks, point.id); });
  }
  if (config.kafka) {
    step(c, "kafka", "Copy Kafka's topics, configurations and group offsets",
         [&] { point.stores["kafka"] = snapshot_kafka(c, chunks, point.id); });
  }
  if (config.postgres) {
    step(c, "postgres", "Copy PostgreSQL's data directory", [&] {
      point.stores["postgres"] = snapshot_postgres(c, chunks, point.id, request.reread);
    });
  }
  if (config.clickhouse) {
    step(c, "clickhouse", "Cut and copy ClickHouse's tables", [&] {
      point.stores["clickhouse"] =
          snapshot_clickhouse(c, chunks, std::string(clickhouse::kBackupPrefix) + point.id);
    });
  }
  if (config.postgres) {
    step(c, "wal", "Wait for the WAL of the base backup", [&] {
      wait_for_wal(c, vault, point.stores["postgres"], condemned, archiver ? &*archiver : nullptr);
    });
  }
  if (archiver) {
    step(c, "logbook", "Bring the logbook up to now", [&] { archiver->stop(); });
  }
  chunks.flush();
  lock_content_of(c, vault, chunks, point);
  open.publish();
  return point;
}

}  // namespace lifeboat::recovery
