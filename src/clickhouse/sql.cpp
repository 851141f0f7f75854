#include "clickhouse/sql.hpp"

#include <algorithm>
#include <cctype>

#include "base/error.hpp"

namespace lifeboat::clickhouse {
namespace {

bool is_word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

char unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'a':
      return '\a';
    case 'v':
      return '\v';
    default:
      return c;
  }
}

class Lexer {
 public:
  Lexer(std::string_view sql, const std::string& subject) : sql_(sql), subject_(subject) {}

  std::vector<Token> all() {
    std::vector<Token> tokens;
    while (skip_blanks(), at_ < sql_.size()) tokens.push_back(next());
    return tokens;
  }

 private:
  bool looking_at(std::string_view text) const { return sql_.substr(at_).starts_with(text); }

  void skip_to(std::string_view end, bool required) {
    auto found = sql_.find(end, at_ + 2);
    if (found == std::string_view::npos && required) torn("comment");
    at_ = found == std::string_view::npos ? sql_.size() : found + end.size();
  }

  void skip_blanks() {
    while (at_ < sql_.size()) {
      if (std::isspace(static_cast<unsigned char>(sql_[at_])) != 0) {
        ++at_;
      } else if (looking_at("--")) {
        skip_to("\n", false);
      } else if (looking_at("/*")) {
        skip_to("*/", true);
      } else {
        return;
      }
    }
  }

  Token next() {
    char c = sql_[at_];
    if (c == '\'') return {Token::Type::literal, quoted('\''), false};
    if (c == '`' || c == '"') return {Token::Type::word, quoted(c), true};
    if (!is_word_char(c) || c == '.') {
      ++at_;
      return {Token::Type::symbol, std::string(1, c), false};
    }
    auto begin = at_;
    // A dot belongs to a number, and separates names.
    bool numeric = std::isdigit(static_cast<unsigned char>(c)) != 0;
    while (at_ < sql_.size() && is_word_char(sql_[at_]) && (numeric || sql_[at_] != '.')) ++at_;
    return {Token::Type::word, std::string(sql_.substr(begin, at_ - begin)), false};
  }

  std::string quoted(char quote) {
    std::string text;
    for (++at_; at_ < sql_.size(); ++at_) {
      char c = sql_[at_];
      if (c == '\\' && at_ + 1 < sql_.size()) {
        text += unescaped(sql_[++at_]);
      } else if (c == quote && at_ + 1 < sql_.size() && sql_[at_ + 1] == quote) {
        text += sql_[++at_];
      } else if (c == quote) {
        ++at_;
        return text;
      } else {
        text += c;
      }
    }
    torn("quoted text");
  }

  [[noreturn]] void torn(const std::string& what) const {
    throw Error(Code::corrupt, subject_, "its definition has a " + what + " that does not end");
  }

  std::string_view sql_;
  const std::string& subject_;
  std::size_t at_ = 0;
};

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Reads "key = value" at tokens[i]; the value is one token.
bool key_value(const std::vector<Token>& tokens, std::size_t i) {
  return i + 2 < tokens.size() && tokens[i].type == Token::Type::word &&
         tokens[i + 1].is_symbol('=') && tokens[i + 2].type != Token::Type::symbol;
}

}  // namespace

bool Token::is(std::string_view keyword) const {
  return type == Type::word && !quoted && same_word(text, keyword);
}

bool Token::is_symbol(char c) const {
  return type == Type::symbol && text[0] == c;
}

std::vector<Token> tokenize(std::string_view sql, const std::string& subject) {
  return Lexer(sql, subject).all();
}

std::optional<std::string> EngineDefinition::setting(std::string_view key) const {
  for (const auto& [of, value] : settings) {
    if (of == key) return value;
  }
  return std::nullopt;
}

EngineDefinition parse_engine(std::string_view engine_full, const std::string& subject) {
  const auto tokens = tokenize(engine_full, subject);
  EngineDefinition engine;
  if (tokens.empty()) return engine;
  engine.name = tokens[0].text;
  std::size_t i = 1;
  int depth = 0;
  bool in_settings = false;
  for (; i < tokens.size(); ++i) {
    if (tokens[i].is_symbol('(')) ++depth;
    if (tokens[i].is_symbol(')')) --depth;
    if (depth == 0 && tokens[i].is("SETTINGS")) in_settings = true;
    const bool in_arguments = depth == 1 && tokens[1].is_symbol('(');
    if ((in_settings || in_arguments) && key_value(tokens, i)) {
      engine.settings.emplace_back(tokens[i].text, tokens[i + 2].text);
      i += 2;
    } else if (in_arguments && tokens[i].type != Token::Type::symbol && !in_settings) {
      engine.arguments.push_back(tokens[i]);
    }
  }
  return engine;
}

}  // namespace lifeboat::clickhouse
