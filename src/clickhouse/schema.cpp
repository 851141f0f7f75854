#include "clickhouse/schema.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "clickhouse/sql.hpp"

namespace lifeboat::clickhouse {
namespace {

using nlohmann::json;

// Engines of databases whose tables live elsewhere or in memory only.
constexpr std::string_view kForeignEngines =
    "'Memory', 'MySQL', 'PostgreSQL', 'MaterializedPostgreSQL', 'SQLite', 'Filesystem', 'S3', "
    "'HDFS', 'DataLakeCatalog', 'Dictionary', 'Backup'";

const json& field(const json& row, const char* name) {
  auto found = row.find(name);
  if (found == row.end()) {
    throw Error(Code::corrupt, "system.tables", std::string("no column ") + name);
  }
  return *found;
}

std::string text(const json& row, const char* name) {
  const auto& value = field(row, name);
  if (!value.is_string()) {
    throw Error(Code::corrupt, "system.tables", std::string(name) + " is not a text");
  }
  return value.get<std::string>();
}

std::optional<std::uint64_t> count(const json& row, const char* name) {
  const auto& value = field(row, name);
  // (A json number compares as signed: the largest unsigned ones would look negative.)
  const bool negative = !value.is_number_unsigned() && value.is_number_integer() && value < 0;
  if (!value.is_number_integer() || negative) return std::nullopt;
  return value.get<std::uint64_t>();
}

std::vector<TableRef> references(const json& row, const char* databases, const char* names) {
  const auto& in = field(row, databases);
  const auto& called = field(row, names);
  if (!in.is_array() || !called.is_array() || in.size() != called.size()) {
    throw Error(Code::corrupt, "system.tables", std::string(names) + " is not a list of tables");
  }
  std::vector<TableRef> refs;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!in[i].is_string() || !called[i].is_string()) {
      throw Error(Code::corrupt, "system.tables", std::string(names) + " holds no text");
    }
    refs.push_back({in[i].get<std::string>(), called[i].get<std::string>()});
  }
  return refs;
}

bool is_inner_name(std::string_view name) {
  return name.starts_with(".inner_id.") || name.starts_with(".inner.");
}

bool backup_holds_rows(std::string_view engine) {
  static const std::set<std::string_view> others = {"Log", "TinyLog", "StripeLog", "Memory",
                                                    "KeeperMap"};
  return engine.ends_with("MergeTree") || others.contains(engine);
}

Kind kind_of(const std::string& name, const std::string& engine, bool own_data) {
  if (engine == "Kafka") return Kind::kafka;
  if (engine == "MaterializedView") return Kind::materialized_view;
  if (engine == "View" || engine == "WindowView") return Kind::view;
  if (engine == "Dictionary") return Kind::dictionary;
  if (engine == "Distributed") return Kind::distributed;
  if (is_inner_name(name)) return Kind::inner;
  return own_data || backup_holds_rows(engine) ? Kind::data : Kind::other;
}

Table table_from_row(const json& row) {
  Table table;
  table.ref = {text(row, "database"), text(row, "name")};
  table.engine = text(row, "engine");
  table.engine_full = text(row, "engine_full");
  table.create_query = text(row, "create_table_query");
  table.uuid = text(row, "uuid");
  table.kind = kind_of(table.ref.name, table.engine, count(row, "has_own_data").value_or(0) != 0);
  table.loading_dependencies =
      references(row, "loading_dependencies_database", "loading_dependencies_table");
  table.total_rows = count(row, "total_rows");
  table.total_bytes = count(row, "total_bytes");
  if (table.kind == Kind::data && !backup_holds_rows(table.engine)) {
    table.unsupported = "BACKUP does not hold the rows of engine " + table.engine;
  }
  return table;
}

std::vector<std::string> split_topics(std::string_view list) {
  std::vector<std::string> topics;
  while (!list.empty()) {
    auto item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) topics.emplace_back(item);
  }
  return topics;
}

std::string unsupported_reason(const Table& table, const KafkaTable& kafka,
                               const EngineDefinition& engine) {
  if (engine.setting("kafka_keeper_path")) {
    return "it keeps its offsets in Keeper (kafka_keeper_path): the group's offsets mean nothing";
  }
  if (table.create_query.find("[HIDDEN]") != std::string::npos) {
    return "the server hides a secret of its definition, so it cannot be created again (grant "
           "displaySecretsInShowAndSelect, or put the secret into a named collection)";
  }
  if (kafka.group.empty() || kafka.topics.empty()) {
    return kafka.named_collection.empty()
               ? "its definition names no group or no topic"
               : "its named collection " + kafka.named_collection +
                     " hides group or topics (grant SHOW NAMED COLLECTIONS SECRETS)";
  }
  return {};
}

KafkaTable kafka_from_table(const Table& table, const Collections& collections) {
  const std::string name = to_string(table.ref);
  const auto engine = parse_engine(table.engine_full, name);
  KafkaTable kafka;
  kafka.ref = table.ref;
  const auto& arguments = engine.arguments;
  if (!arguments.empty() && arguments[0].type == Token::Type::word) {
    kafka.named_collection = arguments[0].text;
  }
  auto value = [&](const char* key, std::size_t position) -> std::string {
    if (auto set = engine.setting(key)) return *set;
    if (kafka.named_collection.empty()) {
      return position < arguments.size() ? arguments[position].text : std::string();
    }
    auto collection = collections.find(kafka.named_collection);
    if (collection == collections.end()) return {};
    auto found = collection->second.find(key);
    return found == collection->second.end() || found->second == "[HIDDEN]" ? "" : found->second;
  };
  kafka.brokers = value("kafka_broker_list", 0);
  kafka.topics = split_topics(value("kafka_topic_list", 1));
  kafka.group = value("kafka_group_name", 2);
  kafka.format = value("kafka_format", 3);
  const std::string consumers = value("kafka_num_consumers", 6);
  kafka.consumers = consumers.empty() ? 1 : std::max(1, std::atoi(consumers.c_str()));
  kafka.unsupported = unsupported_reason(table, kafka, engine);
  return kafka;
}

using Pushes = std::map<TableRef, TableRef>;  // view -> the table whose inserts push into it

MaterializedView view_from_row(const Table& table, const json& row, const Pushes& pushes) {
  MaterializedView view;
  view.ref = table.ref;
  if (auto found = pushes.find(table.ref); found != pushes.end()) view.source = found->second;
  view.target = {text(row, "target_database"), text(row, "target_table")};
  view.inner_target = is_inner_name(view.target.name);
  for (const auto& token : tokenize(table.create_query, to_string(table.ref))) {
    if (token.is("AS")) break;
    if (token.is("REFRESH")) view.refreshable = true;
  }
  if (view.target.name.empty()) {
    throw Error(Code::unsupported, to_string(table.ref),
                "the server does not say where this view writes to");
  }
  return view;
}

Collections named_collections(Client& client) {
  Collections collections;
  auto answer = client.ask("SELECT count() FROM system.named_collections");
  if (answer.code != 0) return collections;  // not granted: then group and topics may stay hidden
  for (const auto& row : client.rows("SELECT name, collection FROM system.named_collections")) {
    auto& keys = collections[text(row, "name")];
    const auto& collection = field(row, "collection");
    if (!collection.is_object()) continue;
    for (const auto& [key, value] : collection.items()) {
      if (value.is_string()) keys[key] = value.get<std::string>();
    }
  }
  return collections;
}

void read_databases(Client& client, const std::vector<std::string>& wanted, SchemaGraph& graph) {
  std::map<std::string, std::string> found;
  const std::string filter =
      wanted.empty() ? fmt::format("engine NOT IN ({})", kForeignEngines) : "1";
  for (const auto& row : client.rows(
           "SELECT name, engine FROM system.databases WHERE name NOT IN ('system', "
           "'information_schema', 'INFORMATION_SCHEMA', '_temporary_and_external_tables') AND " +
           filter)) {
    found[text(row, "name")] = text(row, "engine");
  }
  std::set<std::string> names(wanted.begin(), wanted.end());
  if (wanted.empty()) {
    for (const auto& [name, engine] : found) names.insert(name);
  }
  for (const auto& name : names) {
    auto database = found.find(name);
    if (database == found.end()) {
      throw Error(Code::not_found, name, "there is no such database on " + client.url());
    }
    graph.databases.push_back(name);
    graph.database_engines.push_back(database->second);
  }
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const auto& name : names) quoted.push_back(quote_literal(name));
  return fmt::format("{}", fmt::join(quoted, ", "));
}

}  // namespace

std::string TableRef::quoted() const {
  return quote_identifier(database) + "." + quote_identifier(name);
}

std::string to_string(const TableRef& ref) {
  return ref.database + "." + ref.name;
}

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::data:
      return "data";
    case Kind::inner:
      return "inner";
    case Kind::kafka:
      return "kafka";
    case Kind::materialized_view:
      return "materialized view";
    case Kind::view:
      return "view";
    case Kind::dictionary:
      return "dictionary";
    case Kind::distributed:
      return "distributed";
    case Kind::other:
      return "other";
  }
  return "other";
}

const Table* SchemaGraph::find(const TableRef& ref) const {
  auto found =
      std::lower_bound(tables.begin(), tables.end(), ref,
                       [](const Table& table, const TableRef& r) { return table.ref < r; });
  return found != tables.end() && found->ref == ref ? &*found : nullptr;
}

const KafkaTable* SchemaGraph::find_kafka(const TableRef& ref) const {
  for (const auto& kafka : kafka_tables) {
    if (kafka.ref == ref) return &kafka;
  }
  return nullptr;
}

SchemaGraph graph_from_rows(SchemaGraph graph, const std::vector<json>& rows,
                            const Collections& collections) {
  Pushes pushes;
  for (const auto& row : rows) {
    graph.tables.push_back(table_from_row(row));
    for (auto& view : references(row, "dependencies_database", "dependencies_table")) {
      pushes[std::move(view)] = graph.tables.back().ref;
    }
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Table& table = graph.tables[i];
    if (table.kind == Kind::kafka) {
      graph.kafka_tables.push_back(kafka_from_table(table, collections));
    } else if (table.kind == Kind::materialized_view) {
      graph.views.push_back(view_from_row(table, rows[i], pushes));
    }
  }
  std::ranges::sort(graph.tables, {}, &Table::ref);
  std::ranges::sort(graph.kafka_tables, {}, &KafkaTable::ref);
  std::ranges::sort(graph.views, {}, &MaterializedView::ref);
  return graph;
}

SchemaGraph read_schema(Client& client, const std::vector<std::string>& databases) {
  return while_doing("reading ClickHouse's schema", [&] {
    SchemaGraph graph;
    read_databases(client, databases, graph);
    if (graph.databases.empty()) return graph;
    auto rows = client.rows(
        "SELECT database, name, toString(uuid) AS uuid, engine, engine_full, create_table_query, "
        "dependencies_database, dependencies_table, loading_dependencies_database, "
        "loading_dependencies_table, target_database, target_table, total_rows, total_bytes, "
        "has_own_data FROM system.tables WHERE NOT is_temporary AND database IN (" +
        quoted_list(graph.databases) + ")");
    return graph_from_rows(std::move(graph), rows, named_collections(client));
  });
}

}  // namespace lifeboat::clickhouse
