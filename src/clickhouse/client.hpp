#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/types.hpp"

namespace lifeboat::clickhouse {

// Where a server is. `url` is "http://host:port" or https, without user, password or query.
struct Config {
  std::string url;
  std::string user = "default";
  std::string password;
  Millis connect_timeout{5000};
  Millis request_timeout{60000};
  // An answer longer than this is Error(corrupt): no answer that Lifeboat asks for is so long.
  ByteCount max_answer{64ull << 20};
};

// Settings and query parameters ("param_x"), sent as URL parameters.
using Parameters = std::map<std::string, std::string>;

// What a server answered. Code 0 is success and `body` the result; otherwise the number of the
// exception and its first line, without secrets.
struct Answer {
  int code = 0;
  std::string body;
};

// ClickHouse's HTTP interface (https://clickhouse.com/docs/interfaces/http). Thread-safe: each
// call takes a connection of its own from a pool of kept-alive ones.
//
// Errors: server not reached, or gone in the middle -> unavailable; no answer in time -> timeout;
// wrong user, password or a missing grant -> denied; disk full -> no_space; table or database not
// there -> not_found; any other exception of the server -> failed, "Code: N. DB::Exception: ..."
// (first line). Passwords, and literals in CREATE statements, are never part of an error.
class Client {
 public:
  explicit Client(Config config);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // Runs one statement and returns the answer's bytes (TabSeparated unless sql says FORMAT).
  std::string execute(std::string_view sql, const Parameters& parameters = {});
  // The same, but an exception of the server is a value. Transport errors still throw.
  Answer ask(std::string_view sql, const Parameters& parameters = {});
  // Runs a SELECT (without FORMAT); one JSON object a row. 64-bit integers come as JSON numbers.
  std::vector<nlohmann::json> rows(std::string_view sql, const Parameters& parameters = {});
  // The one row of a SELECT; Error(corrupt) when there is none or more than one.
  nlohmann::json row(std::string_view sql, const Parameters& parameters = {});

  // GET /ping. Throws unavailable.
  void ping();
  // Config::url, for messages.
  const std::string& url() const;
  const Config& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The error that execute() throws for an exception of the server.
Error server_error(const std::string& subject, int code, std::string_view body);

// `name` with backslash and backtick escaped. Error(usage) for an empty name or one with a NUL.
std::string quote_identifier(std::string_view name);
// 'text' with escapes; any bytes.
std::string quote_literal(std::string_view text);

// The first 4000 bytes of a statement with the literals of its secrets as '***', for messages.
std::string without_secrets(std::string_view sql);

struct ServerInfo {
  std::string version;  // "26.9.1.1"
  int major = 0;
  int minor = 0;
  std::string timezone;
  bool can_pause = false;  // SYSTEM PAUSE, 26.6 and newer
};
ServerInfo server_info(Client& client);
// Error(unsupported) when the server has no SYSTEM PAUSE: holds by DETACH for older versions have
// their place in hold.cpp and are not built yet.
void require_pause(const ServerInfo& info, const std::string& url);

}  // namespace lifeboat::clickhouse
