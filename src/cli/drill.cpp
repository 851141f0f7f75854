#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/error.hpp"
#include "cli/verbs.hpp"

namespace lifeboat::cli {
namespace {

// The drills destroy and restore a stack of their own; they live in the source tree.
int drill(const std::vector<std::string>& arguments) {
  const char* given = std::getenv("LIFEBOAT_SOURCE");
  const std::filesystem::path source = given != nullptr ? given : LIFEBOAT_SOURCE_DIR;
  const std::string program = (source / "drills" / "run.py").string();
  if (!std::filesystem::exists(program)) {
    throw Error(Code::not_found, program, "the drills are not there: they need the source tree",
                "set LIFEBOAT_SOURCE to a clone of the repository");
  }
  std::vector<std::string> words{"python3", program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  throw system_error(errno, "python3", "starting the drills");
}

}  // namespace

void add_drill(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("drill", "Lose each store of a local stack and bring it back");
  verb->set_help_flag();  // run.py has its own
  verb->prefix_command();
  verb->fallthrough(false);
  verb->callback([&invocation, verb] {
    invocation.choose([verb](const Globals&) { return drill(verb->remaining()); }, Form::other);
  });
}

}  // namespace lifeboat::cli
