#include "cli/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "base/error.hpp"
#include "cli/output.hpp"

namespace lifeboat::cli {
namespace {

namespace fs = std::filesystem;

Telling telling_for(const Globals& globals, Form form) {
  if (form == Form::events && globals.json) return Telling::events;
  if (globals.quiet) return Telling::nothing;
  return isatty(STDERR_FILENO) != 0 ? Telling::terminal : Telling::lines;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

fs::path find_config_file(const Globals& globals) {
  if (!globals.config.empty()) return globals.config;
  const char* given = std::getenv("LIFEBOAT_CONFIG");
  const fs::path environment = given != nullptr ? given : "";
  for (const fs::path& path :
       {fs::path("lifeboat.yaml"), environment, fs::path("/etc/lifeboat/lifeboat.yaml")}) {
    if (!path.empty() && is_there(path)) return path;
  }
  return environment.empty() ? fs::path("lifeboat.yaml") : environment;
}

Session::Session(const Globals& globals, Form form)
    : Session(globals, telling_for(globals, form)) {}

Session::Session(const Globals& globals, Telling telling)
    : config_(recovery::load_config(find_config_file(globals))),
      begun_(Clock::real().steady()),
      signals_(cancel_),
      reporter_(make_reporter(telling, Clock::real())) {}

double Session::seconds() const {
  return seconds_between(begun_, Clock::real().steady());
}

bool confirmed(const Globals& globals, const std::string& question, const std::string& flag) {
  if (globals.json || isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
    throw Error(Code::refused, "", "this changes things, and there is no terminal to ask",
                fmt::format("give {} once you have looked at it with --dry-run", flag));
  }
  std::cerr << question << " Type yes to go on: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "yes";
}

}  // namespace lifeboat::cli
