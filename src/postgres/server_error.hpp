#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

struct pg_result;

// What the server's refusals mean to us. The SQLSTATE decides, never the words: those come in the
// server's language (manual, appendix A).
namespace lifeboat::postgres {

struct Refusal {
  std::string sqlstate;  // "" when libpq speaks, not the server
  std::string message;
  std::string hint;
};

// Of a connection that failed, with verbosity VERBOSE ("FATAL:  28P01: password …").
Refusal parse_refusal(std::string_view libpq_message);
Refusal refusal_of(const pg_result* result);

// `without_state` is the code when there is no SQLSTATE. The SQLSTATE ends the message: "(28P01)".
Error make_error(const std::string& server, const Refusal& refusal, Code without_state);
Error wal_level_error(const std::string& server);

}  // namespace lifeboat::postgres
