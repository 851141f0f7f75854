#include "cli/cli.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "cli/wal_fetch.hpp"

namespace lifeboat::cli {
namespace {

void add_globals(CLI::App& app, Globals& globals) {
  app.add_option("--config", globals.config,
                 "lifeboat.yaml (default: ./lifeboat.yaml, else $LIFEBOAT_CONFIG, else "
                 "/etc/lifeboat/lifeboat.yaml)")
      ->type_name("FILE");
  app.add_flag("--json", globals.json, "Data on stdout as JSON");
  auto* quiet = app.add_flag("--quiet", globals.quiet, "Only what must be read, and errors");
  app.add_flag("--verbose", globals.verbose, "Tell more on stderr")->excludes(quiet);
  app.set_version_flag("--version", "lifeboat " LIFEBOAT_VERSION);
}

void add_verbs(CLI::App& app, Invocation& invocation) {
  for (auto* add : {add_init, add_check, add_run, add_backup, add_points, add_prune, add_status,
                    add_plan, add_apply, add_restore, add_cursors, add_verify, add_key, add_logbook,
                    add_wal_fetch, add_drill, add_hold_watchdog}) {
    add(app, invocation);
  }
}

bool mentions(int argc, char** argv, std::string_view word) {
  return std::any_of(argv + 1, argv + argc, [&](const char* given) { return given == word; });
}

// PostgreSQL takes every exit status up to 125 for "the archive ends here": an error of wal-fetch,
// a mistyped option too, must be above.
int status_of_error(const Error& error, bool wal_fetch) {
  return wal_fetch ? kWalFetchFailed : exit_code(error.code());
}

// One a line, with what each does.
std::string list_verbs(const CLI::App& group, const std::string& words) {
  std::string out;
  for (const auto* verb : group.get_subcommands(nullptr)) {
    const auto line = fmt::format("{} {}", words, verb->get_name());
    out +=
        fmt::format("{}{:<24} {}", out.empty() ? "" : "\n        ", line, verb->get_description());
  }
  return out;
}

// The parser misses a verb before it looks at the words that it does not know.
Error usage_error(const CLI::App& app, const CLI::ParseError& refused) {
  const auto unknown = app.remaining(true);
  const auto* verb = &app;
  std::string words = "lifeboat";
  while (!verb->get_subcommands().empty()) {
    verb = verb->get_subcommands().front();
    words += " " + verb->get_name();
  }
  const bool no_verb = dynamic_cast<const CLI::RequiredError*>(&refused) != nullptr &&
                       !verb->get_subcommands(nullptr).empty();
  if (!no_verb) {
    return Error(Code::usage, "", refused.what(),
                 verb == &app ? "lifeboat --help, or lifeboat VERB --help" : words + " --help");
  }
  const auto what = unknown.empty() ? "which verb?" : "there is no verb '" + unknown.front() + "'";
  if (verb != &app) return Error(Code::usage, words, what, list_verbs(*verb, words));
  return Error(Code::usage, "", what, "lifeboat --help lists them; `lifeboat status` only looks");
}

int run_verb(const Invocation& invocation, bool wal_fetch) {
  const auto failed = [&](const Error& error) {
    print_error(error, invocation.globals.json ? std::optional(invocation.form) : std::nullopt);
    return status_of_error(error, wal_fetch);
  };
  try {
    int status = invocation.action();
    finish_stdout();
    return status;
  } catch (const Error& error) {
    return failed(error);
  } catch (const std::filesystem::filesystem_error& refused) {
    return failed(system_error(refused.code().value(), refused.path1().string(), "no access"));
  } catch (const std::bad_alloc&) {
    return failed(
        Error(Code::failed, "lifeboat", "this machine gives no more memory",
              "raise what limits it: `ulimit -v` of this user, MemoryMax= of the service, or "
              "memory.max of the container"));
  } catch (const std::exception& unexpected) {
    return failed(Error(Code::failed, "lifeboat", std::string("unexpected: ") + unexpected.what(),
                        "this is a fault in Lifeboat: please report it with the command"));
  }
}

}  // namespace

int run(int argc, char** argv) {
  // A reader of stdout, or a server, that goes away is an error where we write, not our end.
  std::signal(SIGPIPE, SIG_IGN);
  Invocation invocation;
  CLI::App app("Disaster recovery for PostgreSQL, ClickHouse, Kafka and ZooKeeper.", "lifeboat");
  app.fallthrough();
  app.require_subcommand(1);
  add_globals(app, invocation.globals);
  add_verbs(app, invocation);

  const bool wal_fetch = mentions(argc, argv, "wal-fetch");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& refused) {
    if (refused.get_exit_code() == 0) return app.exit(refused);  // --help, --version
    const auto error = usage_error(app, refused);
    print_error(error,
                mentions(argc, argv, "--json") ? std::optional(Form::document) : std::nullopt);
    return status_of_error(error, wal_fetch);
  }
  init_log(invocation.globals.quiet     ? Verbosity::quiet
           : invocation.globals.verbose ? Verbosity::verbose
           : invocation.daemon          ? Verbosity::normal
                                        : Verbosity::quiet);
  return run_verb(invocation, wal_fetch);
}

}  // namespace lifeboat::cli
