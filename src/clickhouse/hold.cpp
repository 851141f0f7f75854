#include "clickhouse/hold.hpp"

#include "base/log.hpp"
#include "clickhouse/consumption.hpp"

namespace lifeboat::clickhouse {
namespace {

constexpr int kUnknownTable = 60;
constexpr int kUnknownDatabase = 81;
constexpr int kNothingToControl = 36;  // "has no controllable background activity"

std::string start_command(const TableRef& table) {
  return "SYSTEM START " + table.quoted();
}

// False: the table is gone, so there is nothing to start.
bool start_table(Client& client, const TableRef& table) {
  const auto answer = client.ask(start_command(table));
  if (answer.code == 0) return true;
  if (answer.code == kUnknownTable || answer.code == kUnknownDatabase ||
      answer.code == kNothingToControl) {
    return false;
  }
  throw server_error(to_string(table), answer.code, answer.body);
}

void start_until(Client& client, const std::vector<TableRef>& tables, const Deadline& deadline) {
  const Cancel nobody;  // a request to stop must not leave a table held
  for (const auto& table : tables) {
    for (;;) {
      try {
        start_table(client, table);
        break;
      } catch (Error& error) {
        if (deadline.passed()) {
          throw Error(error.code(), to_string(table), "may still be held: " + error.message(),
                      "run in ClickHouse: " + start_command(table));
        }
        nobody.sleep_for(Millis(100));
      }
    }
  }
}

void kill_quietly(Client& client, const std::string& id) {
  try {
    kill_backup(client, id, Deadline::after(Millis(10000)));
  } catch (const Error& error) {
    spdlog::warn("the backup {} was begun in vain and could not be ended: {}", id, error.what());
  }
}

std::uint64_t queued_files(Client& client, const std::vector<TableRef>& tables) {
  auto row = client.row("SELECT sum(data_files) AS files FROM system.distribution_queue WHERE " +
                        in_tables(tables));
  return row.value("files", std::uint64_t{0});
}

std::map<std::string, Cursors> read_cursors(const CutRequest& request) {
  std::map<std::string, Cursors> cursors;
  for (const auto& group : request.groups) cursors[group] = request.committed(group);
  return cursors;
}

}  // namespace

Hold::Hold(Client& client, std::vector<TableRef> tables, const Deadline& idle_by,
           const Cancel& cancel, const Clock& clock)
    : client_(client), clock_(clock), tables_(std::move(tables)) {
  if (tables_.empty()) throw Error(Code::refused, client.url(), "there is no Kafka table to hold");
  held_ = true;
  paused_at_ = idle_at_ = clock_.steady();
  try {
    for (const auto& table : tables_) client_.execute("SYSTEM PAUSE " + table.quoted());
    Consumption now;
    while (now = consumption(client_, tables_), !now.busy.empty()) {
      if (idle_by.passed()) {
        throw Error(Code::timeout, now.busy, "did not finish the block in flight in time",
                    "raise clickhouse.hold_limit, or see what makes its views slow");
      }
      if (!cancel.sleep_for(Millis(5))) cancel.check();
    }
    idle_at_ = clock_.steady();
    state_when_idle_ = std::move(now.state);
  } catch (Error& error) {
    try {
      release();
    } catch (const Error& worse) {
      spdlog::error("{}; {}", worse.what(), worse.hint());
    }
    throw std::move(error).during("holding " + names_of(tables_));
  }
}

Hold::~Hold() {
  try {
    release();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
}

void Hold::check_still() {
  const auto now = consumption(client_, tables_);
  if (now.busy.empty() && now.state == state_when_idle_) return;
  throw Error(Code::conflict, now.busy.empty() ? names_of(tables_) : now.busy,
              "consumed although it was held: somebody started it, or the server was restarted",
              "run the same command again");
}

HeldTime Hold::release(Millis within) {
  if (!held_) return times_;
  start_until(client_, tables_, Deadline::after(within));
  held_ = false;
  const auto now = clock_.steady();
  times_ = {seconds_between(idle_at_, now), seconds_between(paused_at_, now)};
  return times_;
}

Cut take_cut(Client& client, const CutRequest& request, const Cancel& cancel, const Clock& clock) {
  const auto idle_by = Deadline::after(request.idle_within);
  // Before the hold as well, so that little is left to flush under it.
  flush_distributed(client, request.distributed_tables, idle_by, cancel);
  std::optional<HoldWatchdog> watchdog;
  if (!request.watchdog.empty()) {
    watchdog.emplace(request.watchdog, client.config(), request.kafka_tables,
                     request.watchdog_keeps);
  }
  Cut cut;
  Hold hold(client, request.kafka_tables, idle_by, cancel, clock);
  flush_distributed(client, request.distributed_tables, idle_by, cancel);
  // Nothing moves now: the parts are collected while the broker answers.
  cut.backup_id = start_backup(client, request.place, request.name, request.backup_tables);
  try {
    cut.cursors = read_cursors(request);
    wait_pinned(client, cut.backup_id, Deadline::after(request.pin_within), cancel);
    hold.check_still();
    cut.held = hold.release();
  } catch (...) {
    try {
      hold.release();
    } catch (const Error& error) {
      spdlog::error("{}; {}", error.what(), error.hint());
    }
    kill_quietly(client, cut.backup_id);
    throw;
  }
  if (watchdog) watchdog->disarm();
  return cut;
}

void flush_distributed(Client& client, const std::vector<TableRef>& tables,
                       const Deadline& deadline, const Cancel& cancel) {
  if (tables.empty()) return;
  for (const auto& table : tables) client.execute("SYSTEM FLUSH DISTRIBUTED " + table.quoted());
  while (queued_files(client, tables) != 0) {
    if (deadline.passed()) {
      throw Error(Code::timeout, names_of(tables), "rows stay in the Distributed queue",
                  "see system.distribution_queue for what stops them");
    }
    if (!cancel.sleep_for(Millis(20))) cancel.check();
  }
}

void repair(Client& client, const std::vector<TableRef>& tables) {
  for (const auto& table : tables) start_table(client, table);
}

}  // namespace lifeboat::clickhouse
