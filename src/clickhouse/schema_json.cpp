#include <algorithm>

#include "clickhouse/schema.hpp"

namespace lifeboat::clickhouse {
namespace {

using nlohmann::json;

json ref_json(const TableRef& ref) {
  return json::array({ref.database, ref.name});
}

TableRef ref_of(const json& value) {
  if (!value.is_array() || value.size() != 2) {
    throw Error(Code::corrupt, "ClickHouse schema", "a table's name is not [database, name]");
  }
  return {value.at(0).get<std::string>(), value.at(1).get<std::string>()};
}

std::vector<TableRef> refs_of(const json& value) {
  std::vector<TableRef> refs;
  for (const auto& item : value) refs.push_back(ref_of(item));
  return refs;
}

json optional_json(const std::optional<std::uint64_t>& value) {
  return value ? json(*value) : json(nullptr);
}

std::optional<std::uint64_t> optional_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<std::uint64_t>();
}

Kind kind_of(const std::string& text) {
  for (auto kind : {Kind::data, Kind::inner, Kind::kafka, Kind::materialized_view, Kind::view,
                    Kind::dictionary, Kind::distributed, Kind::other}) {
    if (to_string(kind) == text) return kind;
  }
  throw Error(Code::unsupported, "ClickHouse schema", "unknown kind of table: " + text);
}

json table_json(const Table& table) {
  json dependencies = json::array();
  for (const auto& ref : table.loading_dependencies) dependencies.push_back(ref_json(ref));
  return {{"table", ref_json(table.ref)},
          {"kind", to_string(table.kind)},
          {"engine", table.engine},
          {"engine_full", table.engine_full},
          {"create", table.create_query},
          {"uuid", table.uuid},
          {"needs", dependencies},
          {"rows", optional_json(table.total_rows)},
          {"bytes", optional_json(table.total_bytes)},
          {"unsupported", table.unsupported}};
}

Table table_of(const json& value) {
  Table table;
  table.ref = ref_of(value.at("table"));
  table.kind = kind_of(value.at("kind").get<std::string>());
  table.engine = value.at("engine").get<std::string>();
  table.engine_full = value.at("engine_full").get<std::string>();
  table.create_query = value.at("create").get<std::string>();
  table.uuid = value.at("uuid").get<std::string>();
  table.loading_dependencies = refs_of(value.at("needs"));
  table.total_rows = optional_of(value.at("rows"));
  table.total_bytes = optional_of(value.at("bytes"));
  table.unsupported = value.at("unsupported").get<std::string>();
  return table;
}

json kafka_json(const KafkaTable& kafka) {
  return {{"table", ref_json(kafka.ref)},
          {"brokers", kafka.brokers},
          {"topics", kafka.topics},
          {"group", kafka.group},
          {"format", kafka.format},
          {"consumers", kafka.consumers},
          {"named_collection", kafka.named_collection},
          {"unsupported", kafka.unsupported}};
}

KafkaTable kafka_of(const json& value) {
  KafkaTable kafka;
  kafka.ref = ref_of(value.at("table"));
  kafka.brokers = value.at("brokers").get<std::string>();
  kafka.topics = value.at("topics").get<std::vector<std::string>>();
  kafka.group = value.at("group").get<std::string>();
  kafka.format = value.at("format").get<std::string>();
  kafka.consumers = value.at("consumers").get<int>();
  kafka.named_collection = value.at("named_collection").get<std::string>();
  kafka.unsupported = value.at("unsupported").get<std::string>();
  return kafka;
}

json view_json(const MaterializedView& view) {
  return {{"view", ref_json(view.ref)},
          {"source", view.source ? ref_json(*view.source) : json(nullptr)},
          {"target", ref_json(view.target)},
          {"inner_target", view.inner_target},
          {"refreshable", view.refreshable}};
}

MaterializedView view_of(const json& value) {
  MaterializedView view;
  view.ref = ref_of(value.at("view"));
  if (!value.at("source").is_null()) view.source = ref_of(value.at("source"));
  view.target = ref_of(value.at("target"));
  view.inner_target = value.at("inner_target").get<bool>();
  view.refreshable = value.at("refreshable").get<bool>();
  return view;
}

}  // namespace

json to_json(const SchemaGraph& graph) {
  json out = {{"databases", graph.databases},
              {"database_engines", graph.database_engines},
              {"tables", json::array()},
              {"kafka_tables", json::array()},
              {"views", json::array()}};
  for (const auto& table : graph.tables) out["tables"].push_back(table_json(table));
  for (const auto& kafka : graph.kafka_tables) out["kafka_tables"].push_back(kafka_json(kafka));
  for (const auto& view : graph.views) out["views"].push_back(view_json(view));
  return out;
}

SchemaGraph schema_from_json(const json& value) {
  try {
    SchemaGraph graph;
    graph.databases = value.at("databases").get<std::vector<std::string>>();
    graph.database_engines = value.at("database_engines").get<std::vector<std::string>>();
    if (graph.databases.size() != graph.database_engines.size()) {
      throw Error(Code::corrupt, "ClickHouse schema", "databases and their engines do not agree");
    }
    for (const auto& item : value.at("tables")) graph.tables.push_back(table_of(item));
    for (const auto& item : value.at("kafka_tables")) graph.kafka_tables.push_back(kafka_of(item));
    for (const auto& item : value.at("views")) graph.views.push_back(view_of(item));
    std::ranges::sort(graph.tables, {}, &Table::ref);  // find() searches by halves
    return graph;
  } catch (const json::exception& error) {
    throw Error(Code::corrupt, "ClickHouse schema", error.what());
  }
}

}  // namespace lifeboat::clickhouse
