#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/output.hpp"
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

std::string cell(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// One section of the status: an object as "name: value" lines, a list of objects as a table.
void print_section(const std::string& name, const nlohmann::json& section) {
  if (section.is_array() && !section.empty() && section.front().is_object()) {
    std::vector<std::string> head;
    for (const auto& [key, value] : section.front().items()) head.push_back(key);
    Table table(head);
    for (const auto& item : section) {
      std::vector<std::string> cells;
      for (const auto& key : head) cells.push_back(item.contains(key) ? cell(item[key]) : "-");
      table.row(cells);
    }
    print_data(name + "\n" + table.text());
  } else if (section.is_object()) {
    print_data(name + "\n");
    for (const auto& [key, value] : section.items()) {
      print_data(fmt::format("  {}: {}\n", key, cell(value)));
    }
  } else {
    print_data(fmt::format("{}: {}\n", name, section.empty() ? "none" : cell(section)));
  }
}

void print_status(const nlohmann::json& status) {
  for (const auto& [name, section] : status.items()) print_section(name, section);
}

}  // namespace

void add_status(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("status", "How far each log is archived; the newest point; gaps");
  verb->callback([&invocation] { invocation.choose(status); });
}

}  // namespace lifeboat::cli
