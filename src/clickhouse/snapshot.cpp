#include "clickhouse/snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lifeboat::clickhouse {
namespace {

bool is_backup_name(std::string_view name) {
  return name.starts_with(kBackupPrefix) && name.size() > kBackupPrefix.size() &&
         name.size() <= 200 && std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_';
         });
}

std::string first_line(const std::string& text) {
  return text.substr(0, std::min({text.find('\n'), text.find(", Stack trace"), std::size_t{600}}));
}

BackupStatus::State state_of(const std::string& status) {
  using State = BackupStatus::State;
  if (status == "BACKUP_CREATED" || status == "RESTORED") return State::done;
  if (status == "BACKUP_FAILED" || status == "RESTORE_FAILED") return State::failed;
  if (status == "BACKUP_CANCELLED" || status == "RESTORE_CANCELLED") return State::cancelled;
  return State::running;
}

// The answer of a running backup, or the error that ends waiting for it.
BackupStatus status_or_throw(Client& client, const std::string& id) {
  auto status = backup_status(client, id);
  if (!status) {
    throw Error(Code::unavailable, id,
                "ClickHouse no longer knows this backup or restore: it was restarted meanwhile",
                "run the same command again");
  }
  if (status->state == BackupStatus::State::failed) {
    auto at = status->error.find("Code: ");
    const int code = at == std::string::npos ? 0 : std::atoi(status->error.c_str() + at + 6);
    throw server_error(id, code, status->error);
  }
  if (status->state == BackupStatus::State::cancelled) {
    throw Error(Code::conflict, id, "was cancelled on the server (" + status->status + ")",
                "run the same command again");
  }
  return *status;
}

}  // namespace

std::string start_backup(Client& client, const BackupPlace& place, const std::string& name,
                         const std::vector<TableRef>& tables) {
  if (!is_backup_name(name)) {
    throw Error(Code::usage, name, "is not a name for a backup of Lifeboat's");
  }
  if (tables.empty()) throw Error(Code::refused, client.url(), "there is no table to back up");
  std::string sql = "BACKUP";
  for (const auto& table : tables) {
    sql += (&table == &tables.front() ? " TABLE " : ", TABLE ") + table.quoted();
  }
  sql += fmt::format(" TO Disk({}, {}) SETTINGS id = {} ASYNC", quote_literal(place.disk),
                     quote_literal(name), quote_literal(name));
  while_doing("starting the backup " + name, [&] { client.execute(sql); });
  return name;
}

std::optional<BackupStatus> backup_status(Client& client, const std::string& id) {
  auto rows = client.rows(
      "SELECT toString(status) AS status, num_files, total_size, bytes_read, error "
      "FROM system.backups WHERE id = " +
      quote_literal(id));
  if (rows.empty()) return std::nullopt;
  try {
    const auto& row = rows.front();
    BackupStatus status;
    status.status = row.at("status").get<std::string>();
    status.state = state_of(status.status);
    status.num_files = row.at("num_files").get<std::uint64_t>();
    status.total_size = ByteCount(row.at("total_size").get<std::uint64_t>());
    status.bytes_read = ByteCount(row.at("bytes_read").get<std::uint64_t>());
    status.error = without_secrets(first_line(row.at("error").get<std::string>()));
    return status;
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::corrupt, "system.backups", error.what());
  }
}

void wait_pinned(Client& client, const std::string& id, const Deadline& deadline,
                 const Cancel& cancel) {
  for (;;) {
    const auto status = status_or_throw(client, id);
    if (status.num_files > 0 || status.state == BackupStatus::State::done) return;
    if (deadline.passed()) {
      throw Error(Code::timeout, id, "ClickHouse did not collect the tables' parts in time");
    }
    if (!cancel.sleep_for(Millis(5))) cancel.check();
  }
}

BackupStatus wait_finished(Client& client, const std::string& id, const Cancel& cancel,
                           const BackupProgress& progress) {
  Millis pause(10);
  for (;;) {
    const auto status = status_or_throw(client, id);
    if (progress) progress(status);
    if (status.state == BackupStatus::State::done) return status;
    if (!cancel.sleep_for(pause)) cancel.check();
    pause = std::min(pause * 2, Millis(500));
  }
}

bool kill_backup(Client& client, const std::string& id, const Deadline& deadline) {
  auto status = backup_status(client, id);
  if (!status || status->state != BackupStatus::State::running) return false;
  const std::string filter = "id = " + quote_literal(id);
  // The statement's query id, not the backup's id, is what KILL QUERY knows.
  auto row = client.row("SELECT query_id FROM system.backups WHERE " + filter);
  const auto query_id = row.value("query_id", "");
  client.execute("KILL QUERY WHERE query_id = " + quote_literal(query_id) + " ASYNC");
  const Cancel nobody;
  while (status && status->state == BackupStatus::State::running) {
    if (deadline.passed()) {
      throw Error(Code::timeout, id, "still runs on the server after KILL QUERY",
                  "wait until system.backups shows that it ended");
    }
    nobody.sleep_for(Millis(50));
    status = backup_status(client, id);
  }
  return true;
}

std::filesystem::path disk_path(Client& client, const std::string& disk) {
  std::string others;
  for (const auto& row : client.rows("SELECT name, path FROM system.disks ORDER BY name")) {
    if (row.value("name", "") == disk) return row.value("path", "");
    others += (others.empty() ? "" : ", ") + row.value("name", "");
  }
  throw Error(Code::not_found, disk, "ClickHouse has no such disk; it has " + others,
              "see clickhouse.backup.disk, and storage_configuration in the server's config");
}

}  // namespace lifeboat::clickhouse
