#include <CLI/CLI.hpp>

#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/writers.hpp"

namespace lifeboat::cli {
namespace {

int check(const Globals& globals) {
  Session session(globals);
  auto findings = recovery::check_all(session.context());
  recovery::check_store(session.context(), findings);
  const bool ok = !has_problem(findings);
  if (globals.json) {
    print_document({{"ok", ok}, {"findings", findings_json(findings)}});
  } else {
    print_findings(findings);
  }
  return ok ? 0 : exit_code(Code::failed);
}

}  // namespace

void add_check(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand(
      "check", "Are the servers reachable, the privileges there, the vault usable?");
  verb->footer("Exit status 1 when there is a problem.");
  verb->callback([&invocation] { invocation.choose(check); });
}

}  // namespace lifeboat::cli
