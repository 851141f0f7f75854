#include "recovery/cursors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"

namespace lifeboat::cli {
namespace {

struct CursorOptions {
  std::string group;
  std::string point;
  bool yes = false;
  bool dry_run = false;
};
nlohmann::json cursors_json(const std::vector<recovery::GroupCursors>& groups);
void print_cursors(const std::vector<recovery::GroupCursors>& groups);
void tell_reset(const Globals& globals, const recovery::CursorReset& reset, bool dry_run);

// Shows where each consumer group stands, beside the log and beside a point's cut.
int show(const Globals& globals, const CursorOptions& options) {
  Session session(globals);
  std::optional<vault::RecoveryPoint> point;
  if (!options.point.empty()) {
    point = vault::resolve_point(recovery::open_vault(session.config()).vault, options.point);
  }
  auto group = options.group.empty() ? std::nullopt : std::optional(options.group);
  auto groups = recovery::show_cursors(session.context(), group, point);
  if (globals.json) {
    print_document({{"groups", cursors_json(groups)}});
  } else {
    print_cursors(groups);
  }
  return 0;
}

// Puts a group's cursors where a point's ClickHouse data ends.
int reset(const Globals& globals, const CursorOptions& options) {
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  auto point = vault::resolve_point(vault.vault, options.point);
  auto planned = recovery::plan_reset(session.context(), point, options.group);
  if (options.dry_run) {
    tell_reset(globals, planned, true);
    return 0;
  }
  auto question = fmt::format("Set {} cursors of group {} to the cut of point {}?",
                              planned.offsets.size(), planned.group, point.id);
  if (!options.yes && !confirmed(globals, question, "--yes")) {
    throw Error(Code::cancelled, "", "not confirmed; nothing was done");
  }
  recovery::reset_cursors(session.context(), planned);
  tell_reset(globals, planned, false);
  return 0;
}

std::string number(const std::optional<Offset>& offset) {
  return offset ? fmt::format("{}", *offset) : "-";
}

void print_cursors(const std::vector<recovery::GroupCursors>& groups) {
  if (groups.empty()) say("there is no such consumer group");
  for (const auto& group : groups) {
    print_data(fmt::format("{}: {}\n", group.group, group.state));
    for (const auto& member : group.members) print_data("  member " + member + "\n");
    Table table({"  PARTITION", "COMMITTED", "CUT", "LOG START", "HIGH WATERMARK", "LAG"});
    for (const auto& row : group.rows) {
      table.row({"  " + kafka::to_string(row.partition), number(row.committed), number(row.cut),
                 number(row.log_start), number(row.high_watermark),
                 row.committed ? fmt::format("{}", row.high_watermark - *row.committed) : "-"});
    }
    if (!table.empty()) print_data(table.text());
  }
}

nlohmann::json cursors_json(const std::vector<recovery::GroupCursors>& groups) {
  auto out = nlohmann::json::array();
  for (const auto& group : groups) {
    auto rows = nlohmann::json::array();
    for (const auto& row : group.rows) {
      nlohmann::json cell{{"topic", row.partition.topic},
                          {"partition", row.partition.partition.value},
                          {"log_start", row.log_start.value},
                          {"high_watermark", row.high_watermark.value}};
      if (row.committed) cell["committed"] = row.committed->value;
      if (row.cut) cell["cut"] = row.cut->value;
      rows.push_back(cell);
    }
    out.push_back({{"group", group.group},
                   {"state", group.state},
                   {"members", group.members},
                   {"cursors", rows}});
  }
  return out;
}

void tell_reset(const Globals& globals, const recovery::CursorReset& reset, bool dry_run) {
  auto rows = nlohmann::json::array();
  Table table({"PARTITION", "OFFSET"});
  for (const auto& [partition, offset] : reset.offsets) {
    rows.push_back({{"topic", partition.topic},
                    {"partition", partition.partition.value},
                    {"offset", offset.value}});
    table.row({kafka::to_string(partition), fmt::format("{}", offset)});
  }
  if (globals.json) {
    print_document({{"group", reset.group}, {"dry_run", dry_run}, {"offsets", rows}});
    return;
  }
  print_data(table.text());
  say(dry_run ? "a dry run: nothing was done" : "cursors of " + reset.group + " are set");
}

}  // namespace

void add_cursors(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<CursorOptions>();
  auto* verb = app.add_subcommand("cursors", "The consumer groups' cursors");
  verb->require_subcommand(1);

  auto* shows = verb->add_subcommand("show", "Where each group stands");
  shows->add_option("--group", options->group, "This group alone");
  shows->add_option("--point", options->point, "With the cut of this point beside");
  shows->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return show(g, *options); });
  });

  auto* resets = verb->add_subcommand("reset", "Put a group's cursors to the cut of a point");
  resets->add_option("--group", options->group, "The group; nobody may be consuming")->required();
  resets->add_option("--point", options->point, "The point whose ClickHouse data is there")
      ->required();
  resets->add_flag("--yes", options->yes, "Do not ask");
  resets->add_flag("--dry-run", options->dry_run, "Show where they would be put, do nothing");
  resets->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return reset(g, *options); });
  });
}

}  // namespace lifeboat::cli
