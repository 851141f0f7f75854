#include "recovery/backup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "cli/point_summary.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/writers.hpp"

namespace lifeboat::cli {
namespace {

struct BackupOptions {
  std::string label;
  bool dry_run = false;
  bool reread = false;
};
int look_only(const Globals& globals, Session& session);
void tell(const Globals& globals, const Session& session, const vault::RecoveryPoint& point);

// Takes one recovery point of all stores, now.
int backup(const Globals& globals, const BackupOptions& options) {
  Session session(globals, Form::events);
  recovery::require_server(session.config());
  auto vault = recovery::open_vault(session.config());
  if (options.dry_run) return look_only(globals, session);
  recovery::warn_of_single_writer(session.context(), *vault.store);
  auto point = recovery::take_point(session.context(), vault.vault,
                                    {.label = options.label, .reread = options.reread});
  tell(globals, session, point);
  return 0;
}

// A dry run: would it work? Nothing is held, copied or written.
int look_only(const Globals& globals, Session& session) {
  auto findings = recovery::check_all(session.context());
  const bool ok = !has_problem(findings);
  if (globals.json) {
    print_event({{"event", "done"},
                 {"dry_run", true},
                 {"ok", ok},
                 {"findings", findings_json(findings)},
                 {"peak_rss_mib", peak_rss_mib()}});
  } else {
    print_findings(findings);
    say(ok ? "a point could be taken; nothing was done" : "a point could not be taken");
  }
  return ok ? 0 : exit_code(Code::failed);
}

void tell(const Globals& globals, const Session& session, const vault::RecoveryPoint& point) {
  auto event = summary_json(point);
  event["event"] = "done";
  event["point"] = point.id;
  if (const auto& stores = point.stores; stores.contains("postgres")) {
    const auto& postgres = stores.at("postgres");
    event["postgres"] = {{"bytes", postgres.at("bytes")},
                         {"bytes_unread", postgres.value("bytes_unread", 0ull)}};
  }
  event["seconds"] = session.seconds();
  event["peak_rss_mib"] = peak_rss_mib();
  if (globals.json) {
    print_event(event);
    return;
  }
  print_data(point.id + "\n");
  auto summary = summarize(point);
  say(fmt::format("point {} of {} in {}{}", point.id, fmt::join(summary.stores, ", "),
                  format_seconds(session.seconds()),
                  !summary.exact   ? ""
                  : *summary.exact ? fmt::format("; the cut is exact, ingestion was held {:.2f} s",
                                                 summary.held_seconds.value_or(0))
                                   : "; the cut is only bounded"));
}

}  // namespace

void add_backup(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<BackupOptions>();
  auto* verb = app.add_subcommand("backup", "Take a recovery point of all stores now");
  verb->add_option("--label", options->label, "A word of yours for the list of points");
  verb->add_flag("--dry-run", options->dry_run, "Say whether it would work, do nothing");
  verb->add_flag("--reread", options->reread,
                 "Read PostgreSQL's unchanged files too (postgres.read_files)");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return backup(g, *options); }, Form::events);
  });
}

}  // namespace lifeboat::cli
