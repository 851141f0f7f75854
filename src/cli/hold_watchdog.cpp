#include <CLI/CLI.hpp>

#include "cli/verbs.hpp"
#include "clickhouse/hold.hpp"

namespace lifeboat::cli {

// Not for people: `backup` starts it beside itself for the moment in which consumption is held.
void add_hold_watchdog(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("hold-watchdog");
  verb->group("");
  verb->callback([&invocation] {
    invocation.choose([](const Globals&) { return clickhouse::run_watchdog(0); }, Form::other);
  });
}

}  // namespace lifeboat::cli
