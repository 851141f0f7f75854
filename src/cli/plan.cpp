#include "recovery/plan.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.hpp"
#include "cli/output.hpp"
#include "cli/plan_request.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"

namespace lifeboat::cli {
namespace {

struct PlanOptions {
  PlanWords words;
  std::string out;
};

// Says what a restore would do; touches nothing.
int plan(const Globals& globals, const PlanOptions& options) {
  Session session(globals);
  auto request = to_request(options.words, session.config());
  auto vault = recovery::open_vault(session.config());
  auto made = recovery::make_plan(session.context(), vault.vault, request);
  auto json = recovery::to_json(made);
  if (!options.out.empty()) {
    write_file_durably(std::filesystem::absolute(options.out), json.dump(2) + "\n");
  }
  if (globals.json) {
    print_document(json);
  } else {
    print_data(recovery::describe(made));
  }
  say(options.out.empty() ? "next: `--out FILE` saves it for `lifeboat apply FILE`"
                          : "next: lifeboat apply " + options.out);
  return 0;
}

}  // namespace

void add_plan(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<PlanOptions>();
  auto* verb = app.add_subcommand("plan", "Say what a restore would do");
  add_plan_words(*verb, options->words);
  verb->add_option("--out", options->out, "Save the plan for `lifeboat apply`")->type_name("FILE");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return plan(g, *options); });
  });
}

}  // namespace lifeboat::cli
