#include "clickhouse/schema.hpp"
#include "clickhouse/sql.hpp"
#include "fuzz/targets.hpp"

// ClickHouse's tables. The first byte says what follows: SQL that the server printed; a row of
// system.tables; or the schema that a snapshot keeps.
namespace lifeboat::fuzz {
namespace {

using clickhouse::SchemaGraph;
using nlohmann::json;

void order(const SchemaGraph& graph) {
  clickhouse::data_tables(graph);
  clickhouse::distributed_tables(graph);
  for (const auto& group : clickhouse::consumer_groups(graph)) clickhouse::topics_of(graph, group);
  clickhouse::restore_order(graph);
}

json json_of(std::string_view text) {
  auto out = json::parse(text, nullptr, false);
  if (out.is_discarded()) throw Error(Code::corrupt, "a table", "is no JSON");
  return out;
}

void expect_same(const SchemaGraph& graph) {
  const auto again = to_json(graph).dump();
  if (to_json(taken([&] { return clickhouse::schema_from_json(json_of(again)); })).dump() !=
      again) {
    broken("a schema is not what was read");
  }
}

void sql(std::string_view text) {
  for (const auto& token : clickhouse::tokenize(text, "a table")) {
    if (token.type == clickhouse::Token::Type::symbol && token.text.size() != 1) {
      broken("a symbol of several characters");
    }
  }
  clickhouse::parse_engine(text, "a table");
}

void rows(std::string_view text) {
  std::vector<json> rows;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    rows.push_back(json_of(line));
    if (!rows.back().is_object()) throw Error(Code::corrupt, "a row", "is no JSON object");
  }
  SchemaGraph start;
  start.databases = {"d"};
  start.database_engines = {"Atomic"};
  const auto graph = clickhouse::graph_from_rows(start, rows, {});
  expect_same(graph);
  order(graph);
}

}  // namespace

void definitions(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.substr(1);
  const auto kind = static_cast<unsigned char>(bytes[0]) % 3;
  if (kind == 0) return sql(rest);
  if (kind == 1) return rows(rest);
  const auto graph = clickhouse::schema_from_json(json_of(rest));
  expect_same(graph);
  order(graph);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(definitions)
