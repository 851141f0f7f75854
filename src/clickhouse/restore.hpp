#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "clickhouse/client.hpp"
#include "clickhouse/hold.hpp"
#include "clickhouse/schema.hpp"
#include "clickhouse/snapshot.hpp"

namespace lifeboat::clickhouse {

// The steps of a restore, in the order in which they are called. Each one can be called again after
// a crash and goes on where it stopped.

// What a restore would run into: tables of these databases that exist on the server. Empty: go on.
std::vector<TableRef> existing_tables(Client& client, const std::vector<std::string>& databases);

// DROP DATABASE ... SYNC with all that is in it, Kafka tables first, then views. Only for a user
// who named the target.
void drop_databases(Client& client, const std::vector<std::string>& databases);

// CREATE DATABASE IF NOT EXISTS for each of graph.databases, with its engine (Atomic unless it was
// another; Error(unsupported) for Replicated and for engines that mirror something else).
void create_databases(Client& client, const SchemaGraph& graph);

// What restore_data keeps in the caller's journal. All must be durable when they return.
struct RestoreJournal {
  std::function<bool(const TableRef&)> begun;   // an earlier or this run called begin
  std::function<bool(const TableRef&)> done;    // complete: leave it alone
  std::function<void(const TableRef&)> begin;   // called before the table is touched
  std::function<void(const TableRef&)> finish;  // called when all its rows are there
};
struct RestoredTable {
  TableRef from;  // its name in the backup
  TableRef to;    // its name now
};
using RestoreProgress = std::function<void(std::size_t done, std::size_t of, const BackupStatus&)>;

// RESTORE TABLE, one at a time: rows and definition of the data tables. First ends restores that a
// crashed run left going on the server. A table that was begun and is not done is dropped and
// restored again, so rows never double; one that exists and was never begun is Error(refused).
// When it throws, no restore of its own is left running (unless the server is gone).
void restore_data(Client& client, const BackupPlace& place, const std::string& name,
                  const std::vector<RestoredTable>& tables, const RestoreJournal& journal,
                  const Cancel& cancel, const RestoreProgress& progress = {});

// Tables by their saved CREATE, in the given order. One that stands with the same definition is
// left; with another definition it is Error(conflict). Kafka tables begin to consume at once.
void create_tables(Client& client, const SchemaGraph& graph, const std::vector<TableRef>& tables);

// DETACH TABLE ... SYNC / ATTACH TABLE of Kafka tables; those already so are passed over.
void detach_kafka_tables(Client& client, const std::vector<TableRef>& tables);
void attach_kafka_tables(Client& client, const std::vector<TableRef>& tables);

// What a consumer of a Kafka table says of itself (system.kafka_consumers).
struct ConsumerPosition {
  TableRef table;
  TopicPartition partition;
  std::optional<Offset> current;  // next offset to read; none: nothing read since the assignment
  friend bool operator==(const ConsumerPosition&, const ConsumerPosition&) = default;
};
// One row a table and assigned partition. Docs/facts-clickhouse.md says when `current` equals what
// is in the targets. Never SELECTs from a Kafka table (that would take messages away).
std::vector<ConsumerPosition> consumer_positions(Client& client,
                                                 const std::vector<TableRef>& tables);

// The tables' members of their consumer groups, by member id.
struct ConsumerMember {
  TableRef table;
  std::string member_id;
};
std::vector<ConsumerMember> consumer_members(Client& client, const std::vector<TableRef>& tables);

struct ConsumerActivity {
  std::uint64_t messages_read = 0;
  std::uint64_t commits = 0;
  std::uint64_t assigned_partitions = 0;
  bool working = false;
  std::string last_exception;  // first line; empty when none
};
ConsumerActivity consumer_activity(Client& client, const std::vector<TableRef>& tables);

// Waits until the tables' positions reached `target` in each of its partitions (for example the cut
// plus one where the log goes on). Error(timeout) names what lags, with the last exception.
void wait_consuming(Client& client, const std::vector<TableRef>& tables, const Cursors& target,
                    const Deadline& deadline, const Cancel& cancel);
// Waits until `partitions` partitions in sum are assigned to the tables.
void wait_assigned(Client& client, const std::vector<TableRef>& tables, std::uint64_t partitions,
                   const Deadline& deadline, const Cancel& cancel);

}  // namespace lifeboat::clickhouse
