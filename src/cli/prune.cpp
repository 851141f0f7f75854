#include "recovery/prune.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/error.hpp"
#include "cli/log_position.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/restore_pin.hpp"

namespace lifeboat::cli {
namespace {

struct PruneWords {
  recovery::PruneRequest request;
  std::vector<std::string> drop;
  std::vector<std::string> unpin;
};
std::set<std::string> points_of(const vault::Vault& vault, const std::vector<std::string>& wanted);
std::set<std::string> pinned_of(const vault::Vault& vault, const std::vector<std::string>& wanted);
// What goes of the logbook, log by log.
void print_logs(const std::vector<vault::LogPruning>& logs, bool dry_run) {
  Table table({"LOG", "BEGINS AT", dry_run ? "WOULD BEGIN AT" : "WILL BEGIN AT", "BYTES", "WHY"});
  for (const auto& one : logs) {
    const auto& verdict = one.verdict;
    std::string why = verdict.why;
    if (verdict.kept.size() > 1) {
      why += fmt::format("; {} ranges before it stay for older points", verdict.kept.size() - 1);
    }
    table.row({verdict.log.value, position_text(verdict.log, one.first),
               position_text(verdict.log, verdict.kept.back().from), format_bytes(one.bytes), why});
  }
  if (!table.empty()) print_data(table.text());
}

void print_report(const vault::PruneReport& report, bool dry_run, Timestamp now);
void print_keeping(const recovery::PruneResult& result);
nlohmann::json report_json(const recovery::PruneResult& result, bool dry_run);

// Drops what retention does not keep, and deletes what is due.
int prune(const Globals& globals, PruneWords words) {
  Session session(globals);
  auto vault = recovery::open_vault(session.config());
  words.request.drop = points_of(vault.vault, words.drop);
  words.request.unpin = pinned_of(vault.vault, words.unpin);
  auto result = recovery::prune(session.context(), vault.vault, words.request);
  if (globals.json) {
    print_document(report_json(result, words.request.dry_run));
  } else {
    print_report(result.report, words.request.dry_run, session.clock().now());
    print_keeping(result);
  }
  return result.report.problems.empty() ? 0 : exit_code(Code::corrupt);
}

// Broken ones too, which nothing else resolves: by their whole ids.
std::set<std::string> points_of(const vault::Vault& vault, const std::vector<std::string>& wanted) {
  std::set<std::string> out;
  if (wanted.empty()) return out;
  const auto all = vault::list_points(vault);
  for (const auto& id : wanted) {
    bool there = std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.id == id; });
    if (!there) {
      throw Error(Code::not_found, "point " + id, "is not there",
                  "give its whole id: lifeboat points");
    }
    out.insert(id);
  }
  return out;
}

// Points that are being restored, and broken pins by their own ids.
std::set<std::string> pinned_of(const vault::Vault& vault, const std::vector<std::string>& wanted) {
  std::set<std::string> out;
  if (wanted.empty()) return out;
  const auto all = vault::list_pins(vault);
  for (const auto& id : wanted) {
    bool there = std::any_of(all.begin(), all.end(), [&](const auto& one) {
      return one.id == id || (one.pin && !one.pin->revoked && one.pin->point.id == id);
    });
    if (!there) {
      throw Error(Code::not_found, "point " + id, "is not being restored",
                  "lifeboat points names those that are; give the whole id");
    }
    out.insert(id);
  }
  return out;
}

std::string amount(const vault::PruneWord& word) {
  auto out = fmt::format("{} packs ({}) and {} snapshots that no kept point needs",
                         word.packs.size(), format_bytes(word.bytes), word.snapshots.size());
  if (!word.points.empty()) out += fmt::format(", {} points", word.points.size());
  if (!word.outside.empty()) {
    out += fmt::format(", {} of ClickHouse's backups", word.outside.size());
  }
  if (!word.logs.empty()) out += fmt::format(", a part of {} logs", word.logs.logs().size());
  return out;
}

std::string line_of(const vault::PruneStep& step, Timestamp now) {
  using State = vault::PruneStep::State;
  switch (step.state) {
    case State::planned:
      return fmt::format("would go a grace period later: {}", amount(step.word));
    case State::finished:
      return fmt::format("deleted: {}; named on {} at {}", amount(step.word), step.word.host,
                         to_string(step.word.created));
    case State::waits:
      break;
  }
  auto out = fmt::format("waits until {}{}: {}; named on {} at {}", to_string(step.due),
                         step.due <= now ? " (due)" : "", amount(step.word), step.word.host,
                         to_string(step.word.created));
  if (!step.open.empty()) {
    out += fmt::format("; for points that were being taken then: {}", fmt::join(step.open, ", "));
  }
  return out;
}

std::string line_of(const vault::LockedContent& locked) {
  return fmt::format(
      "locked and left alone: {} packs ({}), {} snapshots; they can go from {} to {}", locked.packs,
      format_bytes(locked.bytes), locked.snapshots, to_string(*locked.first),
      to_string(locked.last));
}

void print_report(const vault::PruneReport& report, bool dry_run, Timestamp now) {
  Table table({"POINT", dry_run ? "WOULD BE" : "IS", "WHY"});
  for (const auto& one : report.points) {
    table.row({one.point.id, one.keep ? "kept" : "dropped",
               fmt::format("{}", fmt::join(one.reasons, ", "))});
  }
  for (const auto& one : report.broken) table.row({one.id, "BROKEN", one.problem});
  for (const auto& one : report.unfinished) table.row({one.id, "no point", describe(one)});
  if (!table.empty()) print_data(table.text());
  for (const auto& name : report.unpublished) {
    print_data(
        "ClickHouse's backup " + name +
        " is of a point that was not published: it goes a grace period after that is given up\n");
  }
  for (const auto& pin : report.pins) {
    say(fmt::format("kept: point {} {}; if that restore never goes on: `lifeboat prune --unpin {}`",
                    pin.point.id, describe(pin), pin.point.id));
  }
  for (const auto& pin : report.unpinned) {
    say(fmt::format("not kept any more for the restore on {}: point {}", pin.host, pin.point.id));
  }
  print_logs(report.logs, dry_run);
  for (const auto& step : report.steps) print_data(line_of(step, now) + "\n");
  if (report.locked) print_data(line_of(*report.locked) + "\n");
  for (const auto& id : report.revoked)
    say("revoked, as its backup was not finished in time: " + id);
  for (const auto& problem : report.problems) say("lifeboat: " + problem);
  if (dry_run) say("nothing was changed");
}

void print_keeping(const recovery::PruneResult& result) {
  if (result.rewritten + result.removed == 0) return;
  print_data(fmt::format("logbook: {} objects replaced without what was pruned, {} removed\n",
                         result.rewritten, result.removed));
}

nlohmann::json logs_json(const std::vector<vault::LogPruning>& logs) {
  auto out = nlohmann::json::array();
  for (const auto& one : logs) {
    auto kept = nlohmann::json::array();
    for (const auto& range : one.verdict.kept) {
      kept.push_back({{"from", range.from.value}});
      if (range.to < vault::kLastPosition) kept.back()["to"] = range.to.value;
    }
    out.push_back({{"log", one.verdict.log.value},
                   {"first", one.first.value},
                   {"next", one.next.value},
                   {"kept", std::move(kept)},
                   {"bytes", one.bytes.value},
                   {"why", one.verdict.why}});
  }
  return out;
}

std::string_view to_string(vault::PruneStep::State state) {
  using State = vault::PruneStep::State;
  return state == State::planned ? "planned" : state == State::waits ? "waits" : "finished";
}

nlohmann::json pins_json(const std::vector<vault::Pin>& pins) {
  auto out = nlohmann::json::array();
  for (const auto& pin : pins) out.push_back(recovery::pin_json(pin));
  return out;
}

nlohmann::json report_json(const recovery::PruneResult& result, bool dry_run) {
  const auto& report = result.report;
  nlohmann::json out = {{"dry_run", dry_run},
                        {"points", nlohmann::json::array()},
                        {"broken", nlohmann::json::array()},
                        {"dropped", report.dropped},
                        {"revoked", report.revoked},
                        {"restores", pins_json(report.pins)},
                        {"unpinned", pins_json(report.unpinned)},
                        {"steps", nlohmann::json::array()},
                        {"logs", logs_json(report.logs)},
                        {"rewritten", result.rewritten},
                        {"removed", result.removed},
                        {"unpublished_backups", report.unpublished},
                        {"problems", report.problems}};
  for (const auto& one : report.points) {
    out["points"].push_back({{"id", one.point.id}, {"keep", one.keep}, {"why", one.reasons}});
  }
  for (const auto& one : report.broken) {
    out["broken"].push_back({{"id", one.id}, {"problem", one.problem}});
  }
  for (const auto& step : report.steps) {
    nlohmann::json row = {{"word", step.word.id},
                          {"state", to_string(step.state)},
                          {"packs", step.word.packs},
                          {"bytes", step.word.bytes.value},
                          {"snapshots", step.word.snapshots},
                          {"points", step.word.points},
                          {"clickhouse_backups", step.word.outside},
                          {"logs", to_json(step.word.logs)}};
    if (step.state == vault::PruneStep::State::waits) {
      row["due"] = lifeboat::to_string(step.due);
      row["waits_for"] = step.open;
    }
    out["steps"].push_back(row);
  }
  if (const auto& locked = report.locked) {
    out["locked"] = {{"packs", locked->packs},
                     {"bytes", locked->bytes.value},
                     {"snapshots", locked->snapshots},
                     {"first", lifeboat::to_string(*locked->first)},
                     {"last", lifeboat::to_string(locked->last)}};
  }
  return out;
}

}  // namespace

void add_prune(CLI::App& app, Invocation& invocation) {
  auto words = std::make_shared<PruneWords>();
  auto* verb = app.add_subcommand(
      "prune",
      "Drop the points that `retention` does not keep; delete what nothing needs any more");
  verb->add_flag("--dry-run", words->request.dry_run, "Say what would go and why; change nothing");
  verb->add_flag("--wait", words->request.wait,
                 "Wait for the grace period and delete; else a later run does it");
  verb->add_option("--drop", words->drop,
                   "Give up this point, whatever the rules say; a broken one too")
      ->type_name("POINT");
  verb->add_option("--unpin", words->unpin,
                   "Keep this point no longer for restores that have not ended; they learn it")
      ->type_name("POINT");
  verb->add_flag("--nobody-else-writes", words->request.nobody_else_writes,
                 "For a store that does not keep several writers apart: you have stopped them all");
  verb->callback([&invocation, words] {
    invocation.choose([words](const Globals& g) { return prune(g, *words); });
  });
}

}  // namespace lifeboat::cli
