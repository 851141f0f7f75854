#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat::clickhouse {

// As much of ClickHouse's SQL as is needed to read the definitions that the server itself printed.
struct Token {
  enum class Type { word, literal, symbol };  // identifiers and numbers are words
  Type type;
  std::string text;                         // without quotes and escapes
  bool quoted = false;                      // `x` or "x": never a keyword
  bool is(std::string_view keyword) const;  // unquoted, any case
  bool is_symbol(char c) const;
};

// Error(corrupt) with `subject` for an unclosed quote or comment.
std::vector<Token> tokenize(std::string_view sql, const std::string& subject);

// Arguments and settings of an engine, as system.tables.engine_full prints it:
// Name(arg, 'arg', key = 'value') ... SETTINGS key = 'value', ...
struct EngineDefinition {
  std::string name;
  std::vector<Token> arguments;                               // those without a key
  std::vector<std::pair<std::string, std::string>> settings;  // key = value, wherever they stand
  std::optional<std::string> setting(std::string_view key) const;
};
EngineDefinition parse_engine(std::string_view engine_full, const std::string& subject);

}  // namespace lifeboat::clickhouse
