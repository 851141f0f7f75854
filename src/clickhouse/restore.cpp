#include "clickhouse/restore.hpp"

#include <algorithm>
#include <set>

#include "base/log.hpp"

namespace lifeboat::clickhouse {
namespace {

constexpr std::string_view kRestorePrefix = "lifeboat-restore-";
constexpr int kUnknownTable = 60;
constexpr int kUnknownDatabase = 81;

// DROP asks nothing back above this size otherwise.
const Parameters kDropAnySize = {{"max_table_size_to_drop", "0"},
                                 {"max_partition_size_to_drop", "0"}};
// Views are created before the tables that they read from, so that these never push past them.
const Parameters kViewBeforeSource = {{"allow_materialized_view_with_bad_select", "1"}};

std::string databases_list(const std::vector<std::string>& databases) {
  std::string list;
  for (const auto& database : databases) {
    list += (list.empty() ? "" : ", ") + quote_literal(database);
  }
  return list;
}

bool table_exists(Client& client, const TableRef& table) {
  return !client
              .rows("SELECT 1 AS one FROM system.tables WHERE database = " +
                    quote_literal(table.database) + " AND name = " + quote_literal(table.name))
              .empty();
}

void drop_table(Client& client, const TableRef& table) {
  client.execute("DROP TABLE IF EXISTS " + table.quoted() + " SYNC", kDropAnySize);
}

// Restores that a crashed run started go on by themselves: they would fill a table again.
void end_earlier_restores(Client& client) {
  const auto rows =
      client.rows("SELECT id FROM system.backups WHERE status = 'RESTORING' AND startsWith(id, " +
                  quote_literal(kRestorePrefix) + ")");
  for (const auto& row : rows) {
    kill_backup(client, row.value("id", ""), Deadline::after(Millis(60000)));
  }
}

std::string restore_id(Client& client) {
  return client
      .row("SELECT concat(" + quote_literal(kRestorePrefix) + ", toString(generateUUIDv4())) AS id")
      .at("id");
}

void restore_table(Client& client, const BackupPlace& place, const std::string& name,
                   const RestoredTable& table, const Cancel& cancel,
                   const BackupProgress& progress) {
  const std::string id = restore_id(client);
  client.execute("RESTORE TABLE " + table.from.quoted() + " AS " + table.to.quoted() +
                     " FROM Disk(" + quote_literal(place.disk) + ", " + quote_literal(name) +
                     ") SETTINGS id = " + quote_literal(id) + " ASYNC",
                 kViewBeforeSource);
  try {
    wait_finished(client, id, cancel, progress);
  } catch (...) {
    try {
      kill_backup(client, id, Deadline::after(Millis(60000)));
    } catch (const Error& error) {
      spdlog::warn("the restore {} could not be ended: {}", id, error.what());
    }
    throw;
  }
}

// Some builds answer CREATE and ATTACH of a Kafka table with LOGICAL_ERROR "Shutdown was called"
// and do it all the same (seen with 26.9 as a library): the result decides, not the answer.
void execute_for_table(Client& client, const std::string& sql, const TableRef& table) {
  const auto answer = client.ask(sql, kViewBeforeSource);
  if (answer.code == 0) return;
  if (answer.body.find("Shutdown was called") != std::string::npos && table_exists(client, table)) {
    return;
  }
  throw server_error(to_string(table), answer.code, answer.body);
}

std::string definition_of(Client& client, const TableRef& table) {
  auto rows =
      client.rows("SELECT create_table_query AS q FROM system.tables WHERE database = " +
                  quote_literal(table.database) + " AND name = " + quote_literal(table.name));
  return rows.empty() ? std::string() : rows.front().value("q", "");
}

void drop_all_of(Client& client, const std::string& database, const std::string& which) {
  for (const auto& row :
       client.rows("SELECT name FROM system.tables WHERE database = " + quote_literal(database) +
                   " AND " + which + " AND NOT startsWith(name, '.inner')")) {
    drop_table(client, {database, row.value("name", "")});
  }
}

}  // namespace

std::vector<TableRef> existing_tables(Client& client, const std::vector<std::string>& databases) {
  std::vector<TableRef> tables;
  if (databases.empty()) return tables;
  for (const auto& row :
       client.rows("SELECT database, name FROM system.tables WHERE database IN (" +
                   databases_list(databases) + ") ORDER BY database, name")) {
    tables.push_back({row.value("database", ""), row.value("name", "")});
  }
  return tables;
}

void drop_databases(Client& client, const std::vector<std::string>& databases) {
  for (const auto& database : databases) {
    if (client.rows("SELECT 1 AS one FROM system.databases WHERE name = " + quote_literal(database))
            .empty()) {
      continue;
    }
    // Nothing may consume or push while its targets vanish.
    drop_all_of(client, database, "engine = 'Kafka'");
    drop_all_of(client, database, "engine = 'MaterializedView'");
  }
  for (const auto& database : databases) {
    client.execute("DROP DATABASE IF EXISTS " + quote_identifier(database) + " SYNC", kDropAnySize);
  }
}

void create_databases(Client& client, const SchemaGraph& graph) {
  std::set<std::string> there;
  for (const auto& row : client.rows("SELECT name FROM system.databases")) {
    there.insert(row.value("name", ""));
  }
  for (std::size_t i = 0; i < graph.databases.size(); ++i) {
    const auto& name = graph.databases[i];
    if (there.contains(name)) continue;
    const auto& engine = graph.database_engines.at(i);
    if (engine != "Atomic" && engine != "Ordinary") {
      throw Error(Code::unsupported, name, "a database with engine " + engine + " is not restored",
                  "create the database by hand, then run the same command again");
    }
    client.execute("CREATE DATABASE IF NOT EXISTS " + quote_identifier(name) + " ENGINE = Atomic");
  }
}

void restore_data(Client& client, const BackupPlace& place, const std::string& name,
                  const std::vector<RestoredTable>& tables, const RestoreJournal& journal,
                  const Cancel& cancel, const RestoreProgress& progress) {
  end_earlier_restores(client);
  std::size_t done = 0;
  for (const auto& table : tables) {
    if (!journal.done(table.to)) {
      cancel.check();
      if (journal.begun(table.to)) {
        drop_table(client, table.to);
      } else if (table_exists(client, table.to)) {
        throw Error(Code::refused, to_string(table.to), "exists already; it was left untouched",
                    "restore into an empty ClickHouse, or name the target to have it overwritten");
      } else {
        journal.begin(table.to);
      }
      auto report = [&](const BackupStatus& status) {
        if (progress) progress(done, tables.size(), status);
      };
      while_doing("restoring " + to_string(table.to),
                  [&] { restore_table(client, place, name, table, cancel, report); });
      journal.finish(table.to);
    }
    ++done;
  }
}

void create_tables(Client& client, const SchemaGraph& graph, const std::vector<TableRef>& tables) {
  for (const auto& ref : tables) {
    const Table* table = graph.find(ref);
    if (table == nullptr) throw Error(Code::not_found, to_string(ref), "is not in the schema");
    if (table->create_query.find("[HIDDEN]") != std::string::npos) {
      throw Error(Code::unsupported, to_string(ref), "its saved definition lacks a hidden secret",
                  "create it by hand, then run the same command again");
    }
    const auto standing = definition_of(client, ref);
    if (standing == table->create_query) continue;
    if (!standing.empty()) {
      throw Error(Code::conflict, to_string(ref), "exists with another definition",
                  "drop it, then run the same command again");
    }
    while_doing("creating " + to_string(ref),
                [&] { execute_for_table(client, table->create_query, ref); });
  }
}

void detach_kafka_tables(Client& client, const std::vector<TableRef>& tables) {
  for (const auto& table : tables) {
    const auto answer = client.ask("DETACH TABLE " + table.quoted() + " SYNC");
    if (answer.code == 0 || answer.code == kUnknownTable || answer.code == kUnknownDatabase) {
      continue;
    }
    throw server_error(to_string(table), answer.code, answer.body);
  }
}

void attach_kafka_tables(Client& client, const std::vector<TableRef>& tables) {
  for (const auto& table : tables) {
    if (table_exists(client, table)) continue;
    execute_for_table(client, "ATTACH TABLE " + table.quoted(), table);
  }
}

}  // namespace lifeboat::clickhouse
