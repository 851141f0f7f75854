#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "base/error.hpp"
#include "base/file.hpp"
#include "postgres/restore.hpp"
#include "recovery/restore_session.hpp"
#include "recovery/vault_access.hpp"
#include "recovery/vault_key.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as Linux follows

// Where the data lie when the directory is a link, one that leads nowhere for now too.
fs::path follow_links(fs::path directory) {
  for (int left = kMostLinks; left > 0; --left) {
    if (!directory.has_filename()) directory = directory.parent_path();
    if (!fs::is_symlink(fs::symlink_status(directory))) return directory;
    directory = directory.parent_path() / fs::read_symlink(directory);
  }
  throw Error(Code::config, directory.string(), "is a link that leads to itself",
              "correct postgres.data_directory, or the link");
}

// What the user allowed to overwrite is moved aside, never deleted: on the disk where it lies, so
// that what is restored lies there too, and links to it stay.
class FormerDirectory {
 public:
  FormerDirectory(const fs::path& directory, const std::string& plan)
      : place_(follow_links(directory)), aside_(place_) {
    aside_ += ".before-" + plan;
  }

  void move_aside(RestoreSession& s) const {
    if (::rename(place_.c_str(), aside_.c_str()) != 0) {
      if (errno != EBUSY) throw system_error(errno, place_.string(), "moving it aside");
      throw Error(Code::refused, place_.string(),
                  "a disk is mounted there: it cannot be moved aside",
                  "move away what is in it, or delete it, and give the same command with --resume");
    }
    sync_directory(place_.parent_path());
    s.notes.push_back("the former data directory is now " + aside_.string());
    s.context.reporter.note(s.notes.back());
  }

  // A link whose directory was moved aside leads somewhere again, after a crash meanwhile too.
  void put_an_empty_one() const {
    if (fs::exists(aside_)) fs::create_directory(place_, aside_);
  }

 private:
  fs::path place_, aside_;
};

// A snapshot's entries, straight into a data directory.
class ToDataDirectory : public vault::EntrySink {
 public:
  ToDataDirectory(postgres::DataDirectoryWriter& writer, const Context& context, ByteCount total)
      : writer_(writer), context_(context), total_(total) {}
  void add(const vault::Entry& entry) override {
    context_.cancel.check();
    if (entry.type == vault::Entry::Type::symlink) {
      writer_.symlink(entry.path, entry.target);
    } else {
      writer_.begin_directory(entry.path, static_cast<int>(entry.mode));
    }
  }
  std::unique_ptr<vault::DataSink> begin_file(const vault::Entry& entry) override {
    context_.cancel.check();
    return std::make_unique<File>(*this, writer_.open(entry.path, entry.size));
  }

 private:
  class File : public vault::DataSink {
   public:
    File(ToDataDirectory& to, postgres::DataFileWriter file) : to_(to), file_(std::move(file)) {}
    void data(std::string_view piece) override {
      to_.context_.cancel.check();
      file_.data(piece);
      to_.count(piece.size());
    }
    void end() override { file_.end(); }

   private:
    ToDataDirectory& to_;
    postgres::DataFileWriter file_;
  };

  void count(std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    done_ += bytes;
    context_.reporter.progress("data directory", done_, total_.value, "bytes");
  }

  postgres::DataDirectoryWriter& writer_;
  const Context& context_;
  ByteCount total_;
  std::mutex mutex_;
  std::uint64_t done_ = 0;  // guarded by mutex_
};

// For wal-fetch, which PostgreSQL's user runs: he need not be able to read lifeboat.yaml or what it
// names. In the data directory, which is his alone, until the recovery has ended.
fs::path wal_fetch_key(const Config& config) {
  return config.postgres->data_directory / "lifeboat-vault.key";
}

void give_wal_fetch_the_key(RestoreSession& s) {
  const auto& config = s.context.config;
  write_recovery_key(wal_fetch_key(config), *s.vault.sealing());
  auto owner = postgres::find_owner(config.postgres->os_user);
  if (owner && ::chown(wal_fetch_key(config).c_str(), owner->uid, owner->gid) != 0) {
    throw system_error(errno, wal_fetch_key(config).string(), "chown");
  }
  s.context.reporter.note("until the recovery has ended, the vault's key lies in " +
                          wal_fetch_key(config).string());
}

// Where the WAL ends that makes the base backup consistent.
Lsn end_of(const vault::RecoveryPoint& point) {
  vault::RecoveryPoint postgres;
  postgres.stores["postgres"] = point.stores.at("postgres");
  for (const auto& log : vault::logs_of(postgres)) {
    if (log.until) return Lsn(static_cast<std::uint64_t>(log.until->value));
  }
  throw Error(Code::corrupt, "point " + point.id, "does not say which WAL its base backup needs");
}

}  // namespace

void postgres_data(RestoreSession& s) {
  const auto& config = *s.context.config.postgres;
  auto target = postgres_target(s.context);
  const FormerDirectory former(config.data_directory, s.plan.id);
  if (!target.found.empty()) {
    if (!s.may_overwrite(target.name)) {
      throw Error(Code::refused, target.name, "is not empty. Nothing was touched",
                  fmt::format("add --overwrite '{}' to a new plan", target.name));
    }
    former.move_aside(s);
  }
  former.put_an_empty_one();
  auto id =
      vault::SnapshotId::parse(s.point.stores.at("postgres").at("snapshot").get<std::string>());
  if (!id) throw Error(Code::corrupt, "point " + s.point.id, "has no snapshot of PostgreSQL");
  vault::SnapshotReader snapshot(s.vault, *id);
  postgres::WriterOptions options;
  options.os_user = config.os_user;
  postgres::DataDirectoryWriter writer(config.data_directory, options);
  ToDataDirectory sink(writer, s.context, snapshot.bytes());
  snapshot.read_tree(sink);
  writer.finish();
}

void postgres_recovery(RestoreSession& s) {
  check_postgres_can_fetch(s.context.config);
  const auto& config = *s.context.config.postgres;
  postgres::RecoveryTarget target;
  std::vector<std::string> words = {fs::read_symlink("/proc/self/exe").string(), "--quiet",
                                    "wal-fetch", "--vault", s.context.config.vault.text()};
  if (s.vault.encrypted()) {
    give_wal_fetch_the_key(s);
    words.insert(words.end(), {"--key-file", wal_fetch_key(s.context.config).string()});
  }
  if (s.plan.point_only) words.insert(words.end(), {"--until", to_string(end_of(s.point))});
  words.insert(words.end(), {"%f", "%p"});
  target.restore_command = postgres::make_restore_command(words);
  target.target_time = s.plan.to;
  postgres::write_recovery_settings(config.data_directory, target, config.os_user);
  if (s.context.config.vault.s3) {
    s.context.reporter.note(
        "PostgreSQL fetches WAL from " + s.context.config.vault.shown() +
        ": its service needs credentials for it (environment, ~/.aws of its user, machine's role)");
  }
  s.context.reporter.note("start PostgreSQL now on " + config.data_directory.string());
}

void postgres_wait(RestoreSession& s) {
  s.context.reporter.note("waiting until PostgreSQL has started and recovered");
  postgres::wait_until_recovered(postgres_config(s.context.config),
                                 s.context.config.postgres->data_directory,
                                 Deadline::after(s.wait_limit), s.context.cancel);
  if (fs::remove(wal_fetch_key(s.context.config))) {
    sync_directory(s.context.config.postgres->data_directory);
  }
}

}  // namespace lifeboat::recovery
