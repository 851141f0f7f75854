#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "clickhouse/client.hpp"

namespace lifeboat::clickhouse {

struct TableRef {
  std::string database;
  std::string name;
  friend auto operator<=>(const TableRef&, const TableRef&) = default;
  std::string quoted() const;  // `database`.`name`
};
std::string to_string(const TableRef& ref);  // "database.name", for messages

enum class Kind {
  data,               // MergeTree family, Log family, KeeperMap…: BACKUP holds its rows
  inner,              // the hidden target of a materialized view without TO: a data table as well
  kafka,              // consumes
  materialized_view,  // pushed into by its source
  view,
  dictionary,
  distributed,
  other,  // Null, Merge, Buffer, S3…: a definition without rows that a BACKUP would hold
};
std::string_view to_string(Kind kind);

// One row of system.tables.
struct Table {
  TableRef ref;
  Kind kind = Kind::other;
  std::string engine;
  std::string engine_full;
  std::string create_query;                    // complete, with database and without UUID
  std::string uuid;                            // all zero outside Atomic databases
  std::vector<TableRef> loading_dependencies;  // must exist before this one can be created
  std::optional<std::uint64_t> total_rows;
  std::optional<std::uint64_t> total_bytes;
  // Why Lifeboat cannot bring it back whole (an engine whose rows BACKUP does not hold). Empty: it
  // can.
  std::string unsupported;
};

struct KafkaTable {
  TableRef ref;
  std::string brokers;
  std::vector<std::string> topics;
  std::string group;
  std::string format;
  int consumers = 1;
  std::string named_collection;  // empty: settings are in the table itself
  // Why its cursors cannot be cut or restored by Lifeboat (offsets in Keeper, a named collection
  // that hides group or topics, a secret that the server hides). Empty: supported.
  std::string unsupported;
};

struct MaterializedView {
  TableRef ref;
  std::optional<TableRef> source;  // whose inserts push into it; none: refreshable, or detached
  TableRef target;                 // TO table, or the inner table
  bool inner_target = false;
  bool refreshable = false;
};

// Which table feeds which. Found from the server; nothing in it is a list kept by hand.
struct SchemaGraph {
  std::vector<std::string> databases;  // sorted, with their engines beside
  std::vector<std::string> database_engines;
  std::vector<Table> tables;  // sorted by ref
  std::vector<KafkaTable> kafka_tables;
  std::vector<MaterializedView> views;

  const Table* find(const TableRef& ref) const;
  const KafkaTable* find_kafka(const TableRef& ref) const;
};

// Reads the schema of `databases`; empty = all but system, information_schema and
// INFORMATION_SCHEMA. Error(not_found) for a database that is not there, Error(unsupported) for a
// definition that cannot be understood (says which table).
SchemaGraph read_schema(Client& client, const std::vector<std::string>& databases = {});

// ---- pure functions over the graph

// Named collections by name: key -> value.
using Collections = std::map<std::string, std::map<std::string, std::string>>;
// The graph out of rows of system.tables (as read_schema asks for them); `graph` brings databases.
SchemaGraph graph_from_rows(SchemaGraph graph, const std::vector<nlohmann::json>& rows,
                            const Collections& collections);

// What BACKUP must name so that all rows are in it: data tables, and each view that has an inner
// table (the server keeps an inner table's rows under its view, and refuses the inner table
// itself). A refreshable view's inner table is left out: the view fills it again. Definitions in
// which the server hides a secret are named too: only the backup holds them whole. Views come last.
std::vector<TableRef> data_tables(const SchemaGraph& graph);
std::vector<TableRef> distributed_tables(const SchemaGraph& graph);
std::vector<TableRef> kafka_table_refs(const SchemaGraph& graph);
// Consumer groups of the supported Kafka tables, sorted, each once.
std::vector<std::string> consumer_groups(const SchemaGraph& graph);
// All topics that tables of `group` read, sorted.
std::vector<std::string> topics_of(const SchemaGraph& graph, const std::string& group);

// The order in which things are put back. Within each list a definition comes after all that it
// needs. `views`: a view stands before anything pushes into its source: chained views before those
// that feed them. `kafka` comes last of all, when all views stand.
struct RestoreOrder {
  std::vector<TableRef> first;        // by CREATE: definitions that data tables need (dictionaries)
  std::vector<TableRef> data;         // by RESTORE, with rows: data_tables(graph)
  std::vector<TableRef> definitions;  // Distributed, plain views, dictionaries, Null…: by CREATE
  std::vector<TableRef> views;        // materialized views, by CREATE
  std::vector<TableRef> kafka;        // by CREATE
};
// Error(unsupported) for a cycle (names one of its tables).
RestoreOrder restore_order(const SchemaGraph& graph);

// The graph as JSON and back, for the recovery point. from_json throws Error(corrupt).
nlohmann::json to_json(const SchemaGraph& graph);
SchemaGraph schema_from_json(const nlohmann::json& json);

}  // namespace lifeboat::clickhouse
