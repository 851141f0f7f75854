#include <functional>

#include "postgres/server.hpp"

namespace lifeboat::postgres {

namespace {

std::string setting(Connection& sql, std::string_view name) {
  return sql.query(fmt::format("SHOW {}", name)).text(0, 0);
}

Finding good(std::string name, std::string what) {
  return {std::move(name), true, false, std::move(what), {}};
}
Finding bad(std::string name, std::string what, std::string hint) {
  return {std::move(name), false, false, std::move(what), std::move(hint)};
}
Finding warning(std::string name, std::string what, std::string hint) {
  return {std::move(name), false, true, std::move(what), std::move(hint)};
}

Finding check_wal_level(Connection& sql) {
  const auto level = setting(sql, "wal_level");
  if (level != "minimal") return good("wal_level", level);
  return bad("wal_level", "minimal: there is no WAL to archive",
             "set wal_level = replica and max_wal_senders = 10, restart the server");
}

Finding check_walsenders(Connection& sql) {
  const auto answer = sql.query(
      "SELECT pg_catalog.current_setting('max_wal_senders')::int, "
      "(SELECT count(*) FROM pg_catalog.pg_stat_replication)");
  const auto most = answer.number(0, 0);
  const auto used = answer.number(0, 1);
  const auto what = fmt::format("{} of {} used", used, most);
  // Two: the WAL stream and a base backup.
  if (used + 2 <= most) return good("max_wal_senders", what);
  return bad("max_wal_senders", what + ", 2 are wanted",
             fmt::format("set max_wal_senders = {}, restart the server", used + 5));
}

Finding check_slots(Connection& sql) {
  const auto answer = sql.query(
      "SELECT pg_catalog.current_setting('max_replication_slots')::int, "
      "(SELECT count(*) FROM pg_catalog.pg_replication_slots)");
  const auto most = answer.number(0, 0);
  const auto used = answer.number(0, 1);
  const auto what = fmt::format("{} of {} used", used, most);
  if (used < most) return good("max_replication_slots", what);
  return warning("max_replication_slots", what + ", one is wanted unless it exists",
                 fmt::format("set max_replication_slots = {}, restart the server", used + 5));
}

Finding check_privilege(Connection& sql) {
  const auto answer = sql.query(
      "SELECT rolreplication OR rolsuper, pg_catalog.quote_ident(rolname) "
      "FROM pg_catalog.pg_roles WHERE rolname = current_user");
  if (answer.get(0, 0) == "t") return good("replication privilege", answer.text(0, 1));
  return bad("replication privilege", answer.text(0, 1) + " does not have it",
             fmt::format("a superuser can run: ALTER ROLE {} REPLICATION", answer.text(0, 1)));
}

Finding check_slot_limit(Connection& sql) {
  const auto limit = setting(sql, "max_slot_wal_keep_size");
  if (limit != "-1") return good("max_slot_wal_keep_size", limit);
  return warning("max_slot_wal_keep_size",
                 "no limit: while lifeboat is away, WAL can fill the server's disk",
                 "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB' (or what the disk allows), "
                 "then SELECT pg_reload_conf()");
}

Finding check_switch(Connection& sql, const char* name, bool must, std::string hint) {
  if (setting(sql, name) == "on") return good(name, "on");
  return must ? bad(name, "off", std::move(hint)) : warning(name, "off", std::move(hint));
}

Finding check_primary(Connection& sql) {
  const auto answer = sql.query("SELECT pg_catalog.pg_is_in_recovery()");
  if (answer.get(0, 0) == "f") return good("role", "primary");
  return warning("role", "standby, or in recovery", "point lifeboat at the primary");
}

// BASE_BACKUP sends the data directory and nothing else; Debian keeps its settings in /etc.
Finding check_settings_inside(Connection& sql) {
  const auto answer = sql.query(
      "SELECT f.setting FROM pg_catalog.pg_settings f, pg_catalog.pg_settings d "
      "WHERE d.name = 'data_directory' AND f.name IN ('config_file', 'hba_file', 'ident_file') "
      "AND NOT pg_catalog.starts_with(f.setting, d.setting || '/') ORDER BY 1");
  if (answer.rows() == 0) return good("settings", "inside the data directory");
  return warning("settings", answer.text(0, 0) + " lies outside the data directory",
                 "keep a copy of it: a backup holds the data directory alone");
}

Finding check_replication_connection(const Config& config, const Cancel& cancel) {
  const auto info = identify(config, cancel);
  return good("replication connection",
              fmt::format("system {}, timeline {}, WAL flushed to {}", info.system_identifier,
                          info.timeline, to_string(info.flush_lsn)));
}

// An error while checking is a finding too; only a cancel passes.
void add(std::vector<Finding>& findings, std::string name, const std::function<Finding()>& run) {
  try {
    findings.push_back(run());
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    findings.push_back(bad(std::move(name), error.message(), error.hint()));
  }
}

}  // namespace

std::vector<Finding> check(const Config& config, const Cancel& cancel) {
  std::vector<Finding> findings;
  std::optional<Connection> sql;
  add(findings, "connection", [&] {
    sql.emplace(config, Mode::sql, cancel);
    const int version = sql->server_version();
    return good("connection",
                fmt::format("{}, version {}.{}", sql->server(), version / 10000, version % 10000));
  });
  if (!sql) return findings;
  add(findings, "wal_level", [&] { return check_wal_level(*sql); });
  add(findings, "max_wal_senders", [&] { return check_walsenders(*sql); });
  add(findings, "max_replication_slots", [&] { return check_slots(*sql); });
  add(findings, "replication privilege", [&] { return check_privilege(*sql); });
  add(findings, "replication connection",
      [&] { return check_replication_connection(config, cancel); });
  add(findings, "max_slot_wal_keep_size", [&] { return check_slot_limit(*sql); });
  add(findings, "full_page_writes", [&] {
    return check_switch(*sql, "full_page_writes", true,
                        "ALTER SYSTEM SET full_page_writes = on, then SELECT pg_reload_conf()");
  });
  add(findings, "data_checksums", [&] {
    return check_switch(*sql, "data_checksums", false,
                        "stop the server and run: pg_checksums --enable -D <data directory>");
  });
  add(findings, "settings", [&] { return check_settings_inside(*sql); });
  add(findings, "role", [&] { return check_primary(*sql); });
  return findings;
}

}  // namespace lifeboat::postgres
