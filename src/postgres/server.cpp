#include "postgres/server.hpp"

#include "postgres/wal_file.hpp"

namespace lifeboat::postgres {

namespace {

// "16MB", as SHOW prints a size.
ByteCount parse_size(const std::string& text) {
  std::size_t digits = 0;
  std::uint64_t n = 0;
  while (digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9') {
    n = n * 10 + static_cast<std::uint64_t>(text[digits++] - '0');
  }
  const auto unit = text.substr(digits);
  const int shift = unit == "GB" ? 30 : unit == "MB" ? 20 : unit == "kB" ? 10 : -1;
  if (digits == 0 || shift < 0) {
    throw Error(Code::failed, "PostgreSQL", "not a size: " + text);
  }
  return ByteCount(n << shift);
}

std::optional<Lsn> read_restart_lsn(Connection& replication, std::string_view slot, bool& exists) {
  const auto answer = replication.query(fmt::format("READ_REPLICATION_SLOT {}", slot));
  exists = answer.get(0, 0).has_value();
  if (!answer.get(0, 1)) return std::nullopt;
  return answer.lsn(0, 1);
}

}  // namespace

SystemInfo identify(Connection& replication) {
  return while_doing("identifying the server", [&] {
    const auto answer = replication.query("IDENTIFY_SYSTEM");
    SystemInfo info;
    info.system_identifier = answer.number(0, 0);
    info.timeline = TimelineId(static_cast<std::uint32_t>(answer.number(0, 1)));
    info.flush_lsn = answer.lsn(0, 2);
    info.server_version = replication.server_version();
    info.wal_segment_size = parse_size(replication.query("SHOW wal_segment_size").text(0, 0));
    if (!valid_segment_size(info.wal_segment_size) || info.timeline.value == 0) {
      throw Error(Code::corrupt, replication.server(), "the server describes itself wrongly");
    }
    return info;
  });
}

SystemInfo identify(const Config& config, const Cancel& cancel) {
  Connection replication(config, Mode::replication, cancel);
  return identify(replication);
}

SlotState slot_state(const Config& config, std::string_view slot, const Cancel& cancel) {
  check_slot_name(slot);
  Connection sql(config, Mode::sql, cancel);
  const auto answer = sql.query(
      fmt::format("SELECT active_pid, restart_lsn, wal_status FROM pg_catalog.pg_replication_slots "
                  "WHERE slot_name = '{}'",
                  slot));
  SlotState state;
  if (answer.rows() == 0) return state;
  state.activity = answer.get(0, 0) ? SlotActivity::active : SlotActivity::inactive;
  if (answer.get(0, 0)) state.pid = static_cast<int>(answer.number(0, 0));
  if (answer.get(0, 1)) state.restart_lsn = answer.lsn(0, 1);
  state.wal_status = answer.get(0, 2).value_or("lost");
  return state;
}

Lsn ensure_slot(Connection& replication, std::string_view slot) {
  check_slot_name(slot);
  return while_doing(fmt::format("making the replication slot {}", slot), [&] {
    bool exists = false;
    if (auto lsn = read_restart_lsn(replication, slot, exists)) return *lsn;
    // A slot that keeps nothing would never be of use again.
    if (exists) replication.query(fmt::format("DROP_REPLICATION_SLOT {}", slot));
    try {
      replication.query(fmt::format("CREATE_REPLICATION_SLOT {} PHYSICAL RESERVE_WAL", slot));
    } catch (Error& error) {
      if (sqlstate_of(error) == "53400" || sqlstate_of(error) == "53000") {
        throw Error(Code::refused, replication.server(), error.message(),
                    "raise max_replication_slots, or drop a slot that nobody uses");
      }
      if (sqlstate_of(error) != "42710") throw;  // somebody else made it meanwhile
    }
    if (auto lsn = read_restart_lsn(replication, slot, exists)) return *lsn;
    throw Error(Code::failed, replication.server(), "the new replication slot keeps no WAL");
  });
}

SlotState ensure_slot(const Config& config, std::string_view slot, const Cancel& cancel) {
  {
    Connection replication(config, Mode::replication, cancel);
    ensure_slot(replication, slot);
  }
  return slot_state(config, slot, cancel);
}

bool drop_slot(const Config& config, std::string_view slot, const Cancel& cancel) {
  check_slot_name(slot);
  Connection replication(config, Mode::replication, cancel);
  try {
    replication.query(fmt::format("DROP_REPLICATION_SLOT {}", slot));
    return true;
  } catch (const Error& error) {
    if (sqlstate_of(error) == "42704") return false;
    if (sqlstate_of(error) == "55006") {
      throw Error(Code::refused, replication.server(), error.message(),
                  "stop the lifeboat that streams from it first");
    }
    throw;
  }
}

Lsn switch_wal(const Config& config, const Cancel& cancel) {
  Connection sql(config, Mode::sql, cancel);
  try {
    return sql.query("SELECT pg_catalog.pg_switch_wal()").lsn(0, 0);
  } catch (const Error& error) {
    if (sqlstate_of(error) != "42501") throw;
    throw Error(Code::denied, sql.server(), error.message(),
                "a superuser can run: GRANT EXECUTE ON FUNCTION pg_switch_wal() TO <role>");
  }
}

Lsn current_lsn(const Config& config, const Cancel& cancel) {
  Connection sql(config, Mode::sql, cancel);
  return sql
      .query(
          "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() "
          "THEN pg_catalog.pg_last_wal_replay_lsn() "
          "ELSE pg_catalog.pg_current_wal_flush_lsn() END")
      .lsn(0, 0);
}

}  // namespace lifeboat::postgres
