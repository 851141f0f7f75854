#include "vault/points.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "cli/output.hpp"
#include "cli/point_summary.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/restore_pin.hpp"
#include "recovery/verify.hpp"
#include "recovery/writers.hpp"

namespace lifeboat::cli {
namespace {

void print_points(const vault::AllPoints& all, const vault::Proven& proven, Timestamp now);
void print_restores(const nlohmann::json& restores);
void print_points_json(const vault::Vault& vault, const vault::AllPoints& all,
                       const vault::Proven& proven, const nlohmann::json& restores, Timestamp now);

// Lists the recovery points, oldest first, and when each was last proven; the broken ones too, and
// those that are being taken.
int points(const Globals& globals) {
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  auto listed = vault::list_all_points(vault.vault);
  auto proven = vault::read_proven(vault.vault);
  auto restores = recovery::pins_json(vault.vault);
  auto now = session.clock().now();
  if (globals.json) {
    print_points_json(vault.vault, listed, proven, restores, now);
  } else {
    if (const auto why = recovery::single_writer(*vault.store)) say("SINGLE WRITER: " + *why);
    print_points(listed, proven, now);
    print_restores(restores);
  }
  return 0;
}

std::string cut_word(const PointSummary& summary) {
  if (!summary.exact) return "-";
  return *summary.exact ? "exact" : "bounded";
}

void print_points(const vault::AllPoints& all, const vault::Proven& proven, Timestamp now) {
  const auto& points = all.points;
  if (points.empty()) {
    say("there is no point yet; next: `lifeboat backup`, or `lifeboat run` for one on schedule");
    return;
  }
  Table table({"POINT", "CREATED", "AGE", "CUT", "PROVEN", "STORES", "LABEL"});
  for (const auto& listed : points) {
    if (!listed.point) {
      table.row({listed.id, "BROKEN", "-", "-", "-", listed.problem});
      continue;
    }
    auto summary = summarize(*listed.point);
    table.row({listed.id, to_string(listed.point->created), format_age(listed.point->created, now),
               cut_word(summary), format_proof(recovery::proof_json(proven.find(listed.id)), now),
               fmt::format("{}", fmt::join(summary.stores, ",")), listed.point->label});
  }
  if (!table.empty()) print_data(table.text());
  for (const auto& one : all.unfinished) {
    say(fmt::format("no point yet: {} {}", one.id, vault::describe(one)));
  }
}

void print_restores(const nlohmann::json& restores) {
  for (const auto& one : restores) say("kept for a restore: " + format_pin(one));
}

nlohmann::json unfinished_json(const vault::UnfinishedPoint& point) {
  nlohmann::json out = {{"id", point.id},
                        {"state", point.revoked ? "revoked" : "open"},
                        {"created", to_string(point.created)},
                        {"label", point.label},
                        {"host", point.host},
                        {"process", point.process}};
  if (point.revoked) {
    out["revoked"] = to_string(*point.revoked);
    out["why"] = point.why;
  }
  return out;
}

void print_points_json(const vault::Vault& vault, const vault::AllPoints& all,
                       const vault::Proven& proven, const nlohmann::json& restores, Timestamp now) {
  auto out = nlohmann::json::array();
  for (const auto& listed : all.points) {
    if (!listed.point) {
      out.push_back({{"id", listed.id}, {"problem", listed.problem}});
      continue;
    }
    auto row = summary_json(*listed.point);
    row["age_seconds"] = static_cast<double>(now - listed.point->created) / 1000;
    row["proof"] = recovery::proof_json(proven.find(listed.id));
    out.push_back(row);
  }
  auto unfinished = nlohmann::json::array();
  for (const auto& one : all.unfinished) unfinished.push_back(unfinished_json(one));
  auto runs = nlohmann::json::array();
  for (const auto& run : proven.runs) runs.push_back(recovery::run_json(run));
  const auto single = recovery::single_writer(vault.store());
  print_document({{"vault", vault.id()},
                  {"single_writer", single ? nlohmann::json(*single) : nlohmann::json()},
                  {"points", out},
                  {"unfinished", unfinished},
                  {"restores", restores},
                  {"verified", runs}});
}

}  // namespace

void add_points(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("points", "List the recovery points, oldest first");
  verb->callback([&invocation] { invocation.choose(points); });
}

}  // namespace lifeboat::cli
