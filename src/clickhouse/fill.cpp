#include "clickhouse/fill.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/error.hpp"
#include "clickhouse/sql.hpp"

namespace lifeboat::clickhouse {
namespace {

constexpr std::size_t kRowsAnInsert = 10000;
constexpr const char* kVirtualColumns =
    "`_topic` LowCardinality(String), `_key` String, `_offset` UInt64, `_partition` UInt64, "
    "`_timestamp` Nullable(DateTime), `_timestamp_ms` Nullable(DateTime64(3)), "
    "`_headers.name` Array(String), `_headers.value` Array(String)";
constexpr const char* kErrorColumns = ", `_raw_message` String, `_error` String";
const Parameters kDropAnySize = {{"max_table_size_to_drop", "0"}};
const Parameters kViewBeforeSource = {{"allow_materialized_view_with_bad_select", "1"}};

TableRef beside(const TableRef& table, const char* what) {
  return {table.database, table.name + "__lifeboat_" + what};
}
TableRef fill_view(const TableRef& t) {
  return beside(t, "fill_mv");
}
TableRef ranges_table(const TableRef& t) {
  return beside(t, "ranges");
}
TableRef seen_table(const TableRef& t) {
  return beside(t, "seen");
}
TableRef seen_view(const TableRef& t) {
  return beside(t, "seen_mv");
}

std::string engine_of(Client& client, const TableRef& table) {
  auto rows = client.rows(
      "SELECT engine FROM system.tables WHERE database = " + quote_literal(table.database) +
      " AND name = " + quote_literal(table.name));
  return rows.empty() ? std::string() : rows.front().value("engine", "");
}

void drop(Client& client, const TableRef& table) {
  client.execute("DROP TABLE IF EXISTS " + table.quoted() + " SYNC", kDropAnySize);
}

// As for any Kafka table: the result decides, not the answer (see restore.cpp).
void create_consuming(Client& client, const TableRef& table, const std::string& sql) {
  const auto answer = client.ask(sql);
  if (answer.code == 0) return;
  if (answer.body.find("Shutdown was called") != std::string::npos &&
      engine_of(client, table) == "Kafka") {
    return;
  }
  throw server_error(to_string(table), answer.code, answer.body);
}

const Table& table_of(const SchemaGraph& graph, const TableRef& ref) {
  const Table* table = graph.find(ref);
  if (table == nullptr) throw Error(Code::not_found, to_string(ref), "is not in the schema");
  return *table;
}

bool streams_errors(const Table& table) {
  return parse_engine(table.engine_full, to_string(table.ref)).setting("kafka_handle_error_mode") ==
         "stream";
}

void insert_ranges(Client& client, const Fill& fill) {
  const auto table = ranges_table(fill.table);
  client.execute("CREATE TABLE " + table.quoted() +
                 " (filler String, topic String, partition UInt64, new_base UInt64, shift Int64) "
                 "ENGINE = MergeTree ORDER BY (filler, partition, new_base)");
  for (std::size_t at = 0; at < fill.ranges.size();) {
    std::string rows;
    for (const auto end = std::min(at + kRowsAnInsert, fill.ranges.size()); at < end; ++at) {
      const auto& r = fill.ranges[at];
      rows +=
          fmt::format("{}({}, {}, {}, {}, {})", rows.empty() ? "" : ", ", quote_literal(r.filler),
                      quote_literal(r.topic), r.partition.value, r.new_base.value, r.shift);
    }
    client.execute("INSERT INTO " + table.quoted() + " VALUES " + rows);
  }
}

void create_seen(Client& client, const Fill& fill) {
  const std::string columns =
      "(filler String, partition UInt64, rows UInt64, messages UInt64, "
      "first SimpleAggregateFunction(min, UInt64), next SimpleAggregateFunction(max, UInt64))";
  client.execute("CREATE TABLE " + seen_table(fill.table).quoted() + " " + columns +
                 " ENGINE = SummingMergeTree ORDER BY (filler, partition)");
  client.execute("CREATE MATERIALIZED VIEW " + seen_view(fill.table).quoted() + " TO " +
                     seen_table(fill.table).quoted() + " " + columns +
                     " AS SELECT toString(_topic) AS filler, _partition AS partition, "
                     "count() AS rows, uniqExact(_offset) AS messages, min(_offset) AS first, "
                     "max(_offset) + 1 AS next FROM " +
                     fill_table(fill.table).quoted() + " GROUP BY filler, partition",
                 kViewBeforeSource);
}

// The Null table's columns decide: names and types as the server sees them.
void create_view(Client& client, const Fill& fill) {
  std::vector<std::string> columns, values;
  const std::map<std::string, std::string> replaced = {
      {"_topic", "r.topic"}, {"_offset", "toUInt64(toInt64(f._offset) + r.shift)"}};
  for (const auto& row :
       client.rows("SELECT name, type, default_kind FROM system.columns WHERE database = " +
                   quote_literal(fill.table.database) +
                   " AND table = " + quote_literal(fill.table.name) + " ORDER BY position")) {
    if (row.value("default_kind", "") == "ALIAS") continue;
    const auto name = row.value("name", "");
    const auto quoted = quote_identifier(name);
    const auto it = replaced.find(name);
    columns.push_back(quoted + " " + row.value("type", ""));
    values.push_back((it == replaced.end() ? "f." + quoted : it->second) + " AS " + quoted);
  }
  client.execute(fmt::format("CREATE MATERIALIZED VIEW {} TO {} ({}) AS SELECT {} FROM {} AS f "
                             "ASOF INNER JOIN {} AS r ON f._topic = r.filler AND f._partition = "
                             "r.partition AND f._offset >= r.new_base",
                             fill_view(fill.table).quoted(), fill.table.quoted(),
                             fmt::join(columns, ", "), fmt::join(values, ", "),
                             fill_table(fill.table).quoted(), ranges_table(fill.table).quoted()),
                 kViewBeforeSource);
}

// The position after the literal, quoted name or comment-free character at `at`.
std::size_t past(const std::string& sql, std::size_t at) {
  const char quote = sql[at];
  if (quote != '\'' && quote != '`' && quote != '"') return at + 1;
  for (++at; at < sql.size() && sql[at] != quote; ++at) {
    if (sql[at] == '\\') ++at;
  }
  return at + 1;
}

}  // namespace

TableRef fill_table(const TableRef& table) {
  return beside(table, "fill");
}

std::string column_list(const std::string& create_query, const std::string& subject) {
  std::size_t from = 0;
  int depth = 0;
  for (std::size_t at = 0; at < create_query.size(); at = past(create_query, at)) {
    if (create_query[at] == '(' && depth++ == 0) from = at + 1;
    if (create_query[at] == ')' && --depth == 0) return create_query.substr(from, at - from);
  }
  throw Error(Code::corrupt, subject, "its definition has no list of columns");
}

std::string fill_engine(const Table& table, const Fill& fill) {
  auto engine = parse_engine(table.engine_full, to_string(table.ref));
  static constexpr std::array names = {"kafka_broker_list", "kafka_topic_list", "kafka_group_name",
                                       "kafka_format"};
  std::map<std::string, std::string> settings;
  for (std::size_t i = 0; i < engine.arguments.size() && i < names.size(); ++i) {
    settings[names[i]] = engine.arguments[i].text;
  }
  for (const auto& [key, value] : engine.settings) settings[key] = value;
  settings["kafka_topic_list"] = fmt::format("{}", fmt::join(fill.fillers, ","));
  settings["kafka_group_name"] = fill.group;
  std::string out;
  for (const auto& [key, value] : settings) {
    const bool number = !value.empty() && value.find_first_not_of("0123456789") == value.npos;
    out += (out.empty() ? "Kafka SETTINGS " : ", ") + key + " = " +
           (number ? value : quote_literal(value));
  }
  return out;
}

bool fill_stands(Client& client, const TableRef& table) {
  return engine_of(client, fill_table(table)) == "Kafka";
}

void create_fill(Client& client, const SchemaGraph& graph, const Fill& fill) {
  if (fill_stands(client, fill.table)) return;
  const Table& table = table_of(graph, fill.table);
  const auto columns = column_list(table.create_query, to_string(table.ref));
  drop_fill(client, graph, fill.table);
  insert_ranges(client, fill);
  create_seen(client, fill);
  client.execute("CREATE TABLE " + fill.table.quoted() + " (" + columns + ", " + kVirtualColumns +
                 (streams_errors(table) ? kErrorColumns : "") + ") ENGINE = Null");
  create_view(client, fill);
  create_consuming(client, fill_table(fill.table),
                   "CREATE TABLE " + fill_table(fill.table).quoted() + " (" + columns +
                       ") ENGINE = " + fill_engine(table, fill));
}

std::vector<FillCount> count_fill(Client& client, const TableRef& table) {
  std::vector<FillCount> out;
  for (const auto& row : client.rows(
           "SELECT filler, toInt32(partition) AS p, toString(sum(rows)) AS r, "
           "toString(sum(messages)) AS m, toString(min(first)) AS a, toString(max(next)) AS b "
           "FROM " +
           seen_table(table).quoted() + " GROUP BY filler, partition ORDER BY filler, partition")) {
    auto number = [&](const char* name) { return std::stoull(row.at(name).get<std::string>()); };
    out.push_back({row.at("filler"), PartitionId(row.at("p").get<std::int32_t>()), number("m"),
                   number("r"), Offset(static_cast<std::int64_t>(number("a"))),
                   Offset(static_cast<std::int64_t>(number("b")))});
  }
  return out;
}

void drop_fill(Client& client, const SchemaGraph& graph, const TableRef& table) {
  table_of(graph, table);
  drop(client, fill_table(table));
  drop(client, seen_view(table));
  drop(client, fill_view(table));
  if (engine_of(client, table) == "Null") drop(client, table);
  drop(client, ranges_table(table));
  drop(client, seen_table(table));
}

}  // namespace lifeboat::clickhouse
