#include <CLI/CLI.hpp>

#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/writers.hpp"
#include "serve/daemon.hpp"

namespace lifeboat::cli {
namespace {

int run_verb(const Globals& globals) {
  Session session(globals, globals.json ? Telling::events : Telling::log);
  recovery::require_server(session.config());
  auto vault = recovery::open_vault(session.config());
  recovery::warn_of_single_writer(session.context(), *vault.store);
  serve::run_daemon(session.context(), vault.vault, *vault.store);
  if (globals.json) {
    print_event(
        {{"event", "done"}, {"seconds", session.seconds()}, {"peak_rss_mib", peak_rss_mib()}});
  }
  return 0;
}

}  // namespace

void add_run(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand(
      "run", "Archive all logs and take recovery points on schedule, until SIGTERM");
  verb->callback([&invocation] {
    invocation.daemon = true;
    invocation.choose(run_verb, Form::events);
  });
}

}  // namespace lifeboat::cli
