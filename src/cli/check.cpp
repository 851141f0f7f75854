#include <CLI/CLI.hpp>
#include <memory>

#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/writers.hpp"

namespace lifeboat::cli {
namespace {

int check(const Globals& globals, bool reprobe) {
  Session session(globals);
  auto findings = recovery::check_all(session.context());
  recovery::check_store(session.context(),
                        reprobe ? recovery::Ask::at_length : recovery::Ask::again, findings);
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
  auto reprobe = std::make_shared<bool>();
  verb->add_flag("--reprobe", *reprobe,
                 "Ask the vault's store at length whether it keeps several writers apart: lifts a "
                 "no that is recorded");
  verb->callback([&invocation, reprobe] {
    invocation.choose([reprobe](const Globals& g) { return check(g, *reprobe); });
  });
}

}  // namespace lifeboat::cli
