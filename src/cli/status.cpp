#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "cli/output.hpp"
#include "cli/point_summary.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/inspect.hpp"

namespace lifeboat::cli {
namespace {

void print_status(const nlohmann::json& status);

// How far each log is archived, the newest point, gaps.
int status(const Globals& globals) {
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  auto found = recovery::status_of(session.context(), vault.vault);
  if (globals.json) {
    print_document(found);
  } else {
    print_status(found);
  }
  return 0;
}

std::string cell(const nlohmann::json& object, const std::string& key) {
  if (!object.contains(key)) return "-";
  const auto& value = object[key];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// A list of objects as a table of these members; an absent one is "-".
void print_list(const nlohmann::json& list, const std::vector<std::string>& members) {
  if (list.empty()) return;
  std::vector<std::string> head;
  for (auto member : members) {
    std::transform(member.begin(), member.end(), member.begin(), [](unsigned char c) {
      return c == '_' ? ' ' : static_cast<char>(std::toupper(c));
    });
    head.push_back(member);
  }
  Table table(head);
  for (const auto& item : list) {
    std::vector<std::string> cells;
    for (const auto& member : members) cells.push_back(cell(item, member));
    table.row(cells);
  }
  print_data(table.text());
}

void print_archivers(const nlohmann::json& archivers) {
  const auto group = cell(archivers, "group");
  if (archivers.contains("problem")) {
    print_data(fmt::format("archivers   group {}: {}\n", group, cell(archivers, "problem")));
    return;
  }
  print_data(fmt::format("archivers   group {} is {}\n", group, cell(archivers, "state")));
  for (const auto& one : archivers.at("members")) {
    print_data(fmt::format("            {} at {}: {} partitions\n", cell(one, "member"),
                           cell(one, "host"), cell(one, "partitions")));
  }
}

// That the newest point is whole is a hope until a verify has looked.
void print_proof(const nlohmann::json& points, const std::string& now) {
  const auto& proof = points.at("proof");
  auto line = "proven  " + format_proof(proof, parse_timestamp(now).value_or(Timestamp(0)));
  if (proof.contains("what")) line += ": " + cell(proof, "what");
  if (proof.at("state") == "never") line += ": `lifeboat verify` looks whether all is there";
  print_data(line + "\n");
}

void print_status(const nlohmann::json& status) {
  const auto& points = status.at("points");
  print_data(fmt::format(
      "vault   {} in {}, {}\n", cell(status.at("vault"), "id"), cell(status.at("vault"), "path"),
      status.at("vault").at("encrypted").get<bool>() ? "encrypted" : "NOT ENCRYPTED"));
  if (const auto& why = status.at("vault").at("single_writer"); !why.is_null()) {
    print_data("SINGLE WRITER: " + why.get<std::string>() + "\n");
  }
  std::string newest = "none yet";
  if (points.contains("newest")) {
    newest = fmt::format("the newest is {}, {} old", cell(points, "newest"),
                         format_seconds(points.at("age_seconds").get<double>()));
  }
  print_data(fmt::format("points  {}, {} broken; {}\n", cell(points, "count"),
                         cell(points, "broken"), newest));
  if (points.contains("proof")) print_proof(points, cell(status, "now"));
  for (const auto& one : points.at("restores")) print_data("restore " + format_pin(one) + "\n");
  for (const auto& [store, state] : status.at("stores").items()) {
    print_data(fmt::format("{:<11} {}\n", store,
                           state.at("reachable").get<bool>()
                               ? "reachable"
                               : "NOT REACHABLE: " + cell(state, "problem")));
  }
  if (status.contains("archivers")) print_archivers(status.at("archivers"));
  for (const auto& one : status.at("diverged")) {
    print_data(fmt::format(
        "{} was cut back and written anew: from {} on (leader epoch {}) it is {}; what was lost: "
        "`lifeboat logbook cat --lost`\n",
        cell(one, "log"), cell(one, "from"), cell(one, "since_epoch"), cell(one, "archived_as")));
  }
  auto logs = status.at("logs");
  for (auto& log : logs) {
    for (const auto& one : status.at("retention")) {
      if (one.at("log") == log.at("log")) log["time_left"] = one.at("time_left");
    }
  }
  print_list(logs, {"log", "next", "source_end", "behind", "gaps", "time_left", "newest"});
  for (const auto& one : status.at("retention")) {
    if (!one.at("alarm").get<bool>()) continue;
    print_data(fmt::format("ALARM {} is archived to {}; Kafka deletes what follows in: {}\n",
                           cell(one, "log"), cell(one, "next"), cell(one, "time_left")));
  }
  for (const auto& gap : status.at("gaps")) {
    print_data(fmt::format("gap [{}, {}) in {}: {}\n", cell(gap, "from"), cell(gap, "to"),
                           cell(gap, "log"), cell(gap, "why")));
  }
}

}  // namespace

void add_status(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("status", "How far each log is archived; the newest point; gaps");
  verb->callback([&invocation] { invocation.choose(status); });
}

}  // namespace lifeboat::cli
