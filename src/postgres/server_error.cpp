#include "postgres/server_error.hpp"

#include <libpq-fe.h>

#include <algorithm>

#include "postgres/connection.hpp"

namespace lifeboat::postgres {

namespace {

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

std::string field(const pg_result* result, int code) {
  const char* value = PQresultErrorField(result, code);
  return value == nullptr ? "" : value;
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

Code code_of(std::string_view state) {
  const auto state_class = state.substr(0, 2);
  if (state_class == "28" || state == "42501") return Code::denied;
  if (state_class == "08" || state_class == "57" || state == "53300" || state == "55006") {
    return Code::unavailable;
  }
  if (state == "3D000") return Code::config;
  if (state == "53100") return Code::no_space;
  if (state == "XX001" || state == "XX002") return Code::corrupt;
  if (state == "0A000") return Code::unsupported;
  return Code::failed;
}

std::string hint_of(std::string_view state) {
  if (state == "28P01") return "check user and password (PGPASSWORD, ~/.pgpass, configuration)";
  if (state == "28000") {
    return "check that the role exists and that pg_hba.conf lets it in, also for \"replication\"";
  }
  if (state == "42501") return "grant it to the role, or use another role";
  if (state == "55006") return "is another lifeboat running with the same slot?";
  return {};
}

}  // namespace

Refusal parse_refusal(std::string_view libpq_message) {
  constexpr std::string_view kMark = ":  ";
  Refusal refusal;
  for (auto at = libpq_message.find(kMark); at != std::string_view::npos;
       at = libpq_message.find(kMark, at + 1)) {
    const auto rest = libpq_message.substr(at + kMark.size());
    if (rest.size() < 7 || !is_sqlstate(rest.substr(0, 5)) || rest[5] != ':') continue;
    refusal.sqlstate = rest.substr(0, 5);
    refusal.message = first_line(rest.substr(7));
    return refusal;
  }
  refusal.message = first_line(libpq_message);
  return refusal;
}

Refusal refusal_of(const pg_result* result) {
  Refusal refusal;
  refusal.sqlstate = field(result, PG_DIAG_SQLSTATE);
  refusal.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  const auto detail = field(result, PG_DIAG_MESSAGE_DETAIL);
  if (!detail.empty()) refusal.message += "; " + detail;
  refusal.hint = field(result, PG_DIAG_MESSAGE_HINT);
  if (refusal.message.empty()) refusal.message = first_line(PQresultErrorMessage(result));
  return refusal;
}

Error make_error(const std::string& server, const Refusal& refusal, Code without_state) {
  auto message = refusal.message.empty() ? "the server went away" : refusal.message;
  if (refusal.sqlstate.empty()) {
    return Error(without_state, server, message,
                 without_state == Code::unavailable ? "is the server running?" : "");
  }
  auto hint = hint_of(refusal.sqlstate);
  if (hint.empty()) hint = refusal.hint;
  return Error(code_of(refusal.sqlstate), server, message + " (" + refusal.sqlstate + ")", hint);
}

Error wal_level_error(const std::string& server) {
  return Error(Code::refused, server, "wal_level is minimal: there is no WAL to archive",
               "set wal_level = replica and max_wal_senders = 10 in postgresql.conf and restart "
               "the server");
}

std::string sqlstate_of(const Error& error) {
  const std::string_view message = error.message();
  if (message.size() < 7 || message.back() != ')') return {};
  const auto state = message.substr(message.size() - 6, 5);
  return message[message.size() - 7] == '(' && is_sqlstate(state) ? std::string(state) : "";
}

void check_slot_name(std::string_view slot) {
  const bool good =
      !slot.empty() && slot.size() <= 63 &&
      slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
  if (good) return;
  throw Error(Code::config, "replication slot", "not a name for a slot: " + std::string(slot),
              "use 1 to 63 of a-z, 0-9 and _");
}

}  // namespace lifeboat::postgres
