#include "clickhouse/freeze.hpp"

#include "base/log.hpp"
#include "clickhouse/consumption.hpp"

namespace lifeboat::clickhouse {
namespace {

constexpr std::string_view kCannotCommit = "Code: 518.";  // the block was written before

// The exceptions of the server's own that the consumers keep (ten each, the last one last), without
// those of librdkafka and of commits. A block that could not be written is among them.
std::string write_failure(Client& client, const std::vector<TableRef>& tables) {
  for (const auto& row : client.rows(
           "SELECT text FROM (SELECT exceptions.text AS texts, exceptions.time AS times "
           "FROM system.kafka_consumers WHERE " +
           in_tables(tables) +
           ") ARRAY JOIN texts AS text, times AS time WHERE time > now() - 300 AND text LIKE "
           "'Code: %' ORDER BY time DESC LIMIT 1")) {
    const auto text = row.value("text", "");
    if (!text.starts_with(kCannotCommit))
      return text.substr(0, std::min<std::size_t>({text.find('\n'), text.size(), 400}));
  }
  return {};
}

Error unproven(const std::vector<TableRef>& tables, std::string why) {
  return Error(Code::could_not_verify, names_of(tables), std::move(why),
               "restore ClickHouse and Kafka together from a recovery point");
}

FrozenPositions read_frozen(Client& client, const std::vector<TableRef>& tables) {
  FrozenPositions frozen;
  // The round's end is seen first: what is read after it cannot move any more.
  frozen.idle = consumption(client, tables).busy.empty();
  frozen.positions = consumer_positions(client, tables);
  frozen.messages_read = consumer_activity(client, tables).messages_read;
  return frozen;
}

FrozenPositions wait_frozen(Client& client, const std::vector<TableRef>& tables, Millis settle,
                            const Deadline& deadline, const Cancel& cancel) {
  auto frozen = read_frozen(client, tables);
  auto quiet = Deadline::after(settle);
  while (!frozen.idle && !quiet.passed()) {
    if (deadline.passed()) {
      throw Error(Code::timeout, names_of(tables), "went on reading although they were paused");
    }
    if (!cancel.sleep_for(Millis(50))) cancel.check();
    auto now = read_frozen(client, tables);
    if (now.messages_read != frozen.messages_read || now.positions != frozen.positions) {
      quiet = Deadline::after(settle);
    }
    frozen = std::move(now);
  }
  if (auto failure = write_failure(client, tables); !failure.empty()) {
    throw unproven(tables, "the last block could not be written: " + failure);
  }
  return frozen;
}

}  // namespace

FrozenPositions freeze_positions(Client& client, const std::vector<TableRef>& tables, Millis settle,
                                 const Deadline& deadline, const Cancel& cancel) {
  if (tables.empty()) return FrozenPositions{{}, 0, true};
  try {
    for (const auto& table : tables) client.execute("SYSTEM PAUSE " + table.quoted());
    return wait_frozen(client, tables, settle, deadline, cancel);
  } catch (Error& error) {
    try {
      repair(client, tables);
    } catch (const Error& worse) {
      spdlog::error("{}", worse.what());
    }
    throw std::move(error).during("reading ClickHouse's positions");
  }
}

void confirm_frozen(Client& client, const std::vector<TableRef>& tables,
                    const FrozenPositions& frozen, const Deadline& deadline, const Cancel& cancel) {
  if (tables.empty()) return;
  for (std::string busy; !(busy = consumption(client, tables).busy).empty();) {
    if (deadline.passed()) throw unproven(tables, "the last block's commit did not end: " + busy);
    if (!cancel.sleep_for(Millis(50))) cancel.check();
  }
  if (auto failure = write_failure(client, tables); !failure.empty()) {
    throw unproven(tables, "the last block could not be written: " + failure);
  }
  // Consumers that were closed meanwhile count no messages; then less is seen, never more.
  if (consumer_activity(client, tables).messages_read > frozen.messages_read) {
    throw unproven(tables, "messages were read after the positions had been");
  }
}

}  // namespace lifeboat::clickhouse
