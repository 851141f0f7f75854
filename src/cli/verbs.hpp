#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace lifeboat::cli {

// What every verb takes.
struct Globals {
  std::string config;  // empty: find_config_file()
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

// What a verb prints on stdout with --json: one document, one event a line, or nothing of the kind.
enum class Form { document, events, other };

// The verb that the command line asked for.
struct Invocation {
  Globals globals;
  Form form = Form::document;
  bool daemon = false;          // logs its life on stderr
  std::function<int()> action;  // returns the exit status; throws Error

  void choose(std::function<int(const Globals&)> verb, Form prints = Form::document) {
    form = prints;
    action = [this, verb = std::move(verb)] { return verb(globals); };
  }
};

// Each one adds its verb to the command line. One file a verb.
void add_init(CLI::App& app, Invocation& invocation);
void add_check(CLI::App& app, Invocation& invocation);
void add_run(CLI::App& app, Invocation& invocation);
void add_backup(CLI::App& app, Invocation& invocation);
void add_prune(CLI::App& app, Invocation& invocation);
void add_points(CLI::App& app, Invocation& invocation);
void add_status(CLI::App& app, Invocation& invocation);
void add_plan(CLI::App& app, Invocation& invocation);
void add_apply(CLI::App& app, Invocation& invocation);
void add_restore(CLI::App& app, Invocation& invocation);
void add_cursors(CLI::App& app, Invocation& invocation);
void add_verify(CLI::App& app, Invocation& invocation);
void add_key(CLI::App& app, Invocation& invocation);
void add_logbook(CLI::App& app, Invocation& invocation);
void add_wal_fetch(CLI::App& app, Invocation& invocation);
void add_drill(CLI::App& app, Invocation& invocation);
void add_hold_watchdog(CLI::App& app, Invocation& invocation);

}  // namespace lifeboat::cli
