#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace lifeboat::clickhouse::test {

// As system.tables of ClickHouse 26.9 gives it; `more` overrides.
inline nlohmann::json table_row(const std::string& database, const std::string& name,
                                const std::string& engine, const std::string& create,
                                const nlohmann::json& more = nlohmann::json::object()) {
  using nlohmann::json;
  json out = {{"database", database},
              {"name", name},
              {"uuid", "41b7c902-9dd1-4204-b615-cbad35c2680e"},
              {"engine", engine},
              {"engine_full", engine},
              {"create_table_query", create},
              {"dependencies_database", json::array()},
              {"dependencies_table", json::array()},
              {"loading_dependencies_database", json::array()},
              {"loading_dependencies_table", json::array()},
              {"target_database", ""},
              {"target_table", ""},
              {"total_rows", nullptr},
              {"total_bytes", nullptr},
              {"has_own_data", engine.ends_with("MergeTree") ? 1 : 0}};
  out.update(more);
  return out;
}

}  // namespace lifeboat::clickhouse::test
