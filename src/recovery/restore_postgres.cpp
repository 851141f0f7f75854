#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "postgres/restore.hpp"
#include "recovery/restore_session.hpp"
#include "recovery/vault_access.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {
namespace {

namespace fs = std::filesystem;

// What the user allowed to overwrite is moved aside, never deleted.
void move_aside(RestoreSession& s, const fs::path& directory) {
  fs::path aside = directory;
  aside += ".before-" + s.plan.id;
  fs::rename(directory, aside);
  sync_directory(directory.parent_path());
  s.notes.push_back("the former data directory is now " + aside.string());
  s.context.reporter.note(s.notes.back());
}

void write_entry(const vault::SnapshotReader& snapshot, const vault::Entry& entry,
                 postgres::DataDirectoryWriter& writer) {
  int mode = static_cast<int>(entry.mode);
  switch (entry.type) {
    case vault::Entry::Type::directory:
      writer.begin_directory(entry.path, mode);
      break;
    case vault::Entry::Type::symlink:
      writer.symlink(entry.path, entry.target);
      break;
    case vault::Entry::Type::file:
      writer.begin_file(entry.path, entry.size, mode, entry.mtime);
      snapshot.read_file(entry, [&](std::string_view data) { writer.data(data); });
      writer.end_file();
      break;
  }
}

}  // namespace

void postgres_data(RestoreSession& s) {
  const auto& config = *s.context.config.postgres;
  auto target = postgres_target(s.context);
  if (!target.found.empty()) {
    if (!s.may_overwrite(target.name)) {
      throw Error(Code::refused, target.name, "is not empty. Nothing was touched",
                  fmt::format("add --overwrite '{}' to a new plan", target.name));
    }
    move_aside(s, config.data_directory);
  }
  auto id =
      vault::SnapshotId::parse(s.point.stores.at("postgres").at("snapshot").get<std::string>());
  if (!id) throw Error(Code::corrupt, "point " + s.point.id, "has no snapshot of PostgreSQL");
  vault::SnapshotReader snapshot(s.vault, *id);
  postgres::WriterOptions options;
  options.os_user = config.os_user;
  postgres::DataDirectoryWriter writer(config.data_directory, options);
  std::uint64_t done = 0;
  snapshot.for_each([&](const vault::Entry& entry) {
    s.context.cancel.check();
    write_entry(snapshot, entry, writer);
    done += entry.size.value;
    s.context.reporter.progress("data directory", done, snapshot.bytes().value, "bytes");
  });
  writer.finish();
}

void postgres_recovery(RestoreSession& s) {
  check_postgres_can_fetch(s.context.config);
  const auto& config = *s.context.config.postgres;
  postgres::RecoveryTarget target;
  target.restore_command = postgres::make_restore_command(
      {fs::read_symlink("/proc/self/exe").string(), "--quiet", "wal-fetch", "--vault",
       s.context.config.vault.text(), "%f", "%p"});
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
  postgres::wait_until_recovered(postgres_config(s.context.config), Deadline::after(s.wait_limit),
                                 s.context.cancel);
}

}  // namespace lifeboat::recovery
