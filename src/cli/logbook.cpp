#include "vault/logbook.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/log_position.hpp"
#include "cli/logbook_cat.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"

namespace lifeboat::cli {
namespace {

void print_logs(const vault::Logbook& logbook);
nlohmann::json logs_json(const vault::Logbook& logbook);

// Lists the logs that the logbook holds, with what is missing of them.
int list_logs(const Globals& globals) {
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  auto logbook = vault::Logbook::load(vault.vault);
  if (globals.json) {
    print_document(logs_json(logbook));
  } else {
    print_logs(logbook);
  }
  return logbook.lost() ? exit_code(Code::corrupt) : 0;
}

void print_logs(const vault::Logbook& logbook) {
  Table table({"LOG", "FIRST", "NEXT", "BYTES", "OBJECTS", "GAPS", "FROM", "TO"});
  std::string gaps;
  for (const auto& log : logbook.logs()) {
    table.row({log.log.value, position_text(log.log, log.first), position_text(log.log, log.next),
               format_bytes(log.bytes), fmt::format("{}", log.objects), fmt::format("{}", log.gaps),
               to_string(log.min_time), to_string(log.max_time)});
    if (log.gaps == 0) continue;
    for (const auto& hole : logbook.coverage(log.log).holes) {
      if (hole.pruned) continue;
      gaps += fmt::format("gap [{}, {}) in {}: {}\n", position_text(log.log, hole.range.from),
                          position_text(log.log, hole.range.to), log.log.value,
                          hole.recorded ? hole.why : "missing, and not recorded as lost");
    }
  }
  if (table.empty()) say("the logbook is empty; `lifeboat run` fills it");
  if (!table.empty()) print_data(table.text());
  print_data(gaps);
  for (const auto& damaged : logbook.damaged()) {
    say(fmt::format("lifeboat: damaged: {}", damaged.error.what()));
  }
}

nlohmann::json holes_json(const vault::Logbook& logbook, const vault::LogName& log) {
  auto out = nlohmann::json::array();
  for (const auto& hole : logbook.coverage(log).holes) {
    out.push_back({{"from", hole.range.from.value},
                   {"to", hole.range.to.value},
                   {"recorded", hole.recorded},
                   {"pruned", hole.pruned},
                   {"why", hole.why}});
  }
  return out;
}

nlohmann::json logs_json(const vault::Logbook& logbook) {
  auto logs = nlohmann::json::array();
  for (const auto& log : logbook.logs()) {
    logs.push_back(
        {{"log", log.log.value},
         {"first", log.first.value},
         {"next", log.next.value},
         {"bytes", log.bytes.value},
         {"objects", log.objects},
         {"gaps", log.gaps == 0 ? nlohmann::json::array() : holes_json(logbook, log.log)},
         {"min_time", to_string(log.min_time)},
         {"max_time", to_string(log.max_time)}});
  }
  auto damaged = nlohmann::json::array();
  for (const auto& object : logbook.damaged()) {
    damaged.push_back({{"object", object.object}, {"problem", object.error.what()}});
  }
  return {{"logs", logs}, {"damaged", damaged}};
}

}  // namespace

void add_logbook(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("logbook", "The archived logs");
  verb->require_subcommand(1);
  auto* list = verb->add_subcommand("ls", "List the logs: ranges, sizes, gaps, times");
  list->callback([&invocation] { invocation.choose(list_logs); });
  add_logbook_cat(*verb, invocation);
}

}  // namespace lifeboat::cli
