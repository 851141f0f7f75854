#include "recovery/apply.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/file.hpp"
#include "cli/apply_plan.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"

namespace lifeboat::cli {
namespace {

struct ApplyOptions {
  std::string file;
  std::string wait = "10m";
  bool dry_run = false;
};
recovery::Plan read_plan(const std::string& file);
int compare_with_world(const Globals& globals, Session& session, const vault::Vault& vault,
                       const recovery::Plan& plan);

// Does a saved plan. What an earlier call has done of it is not done again.
int apply(const Globals& globals, const ApplyOptions& options) {
  const Millis wait = parse_wait(options.wait);
  auto plan = read_plan(options.file);
  Session session(globals, Form::events);
  auto vault = recovery::open_vault(session.config());
  if (options.dry_run) return compare_with_world(globals, session, vault.vault, plan);
  return apply_and_tell(globals, session, vault.vault, plan, wait);
}

recovery::Plan read_plan(const std::string& file) {
  auto text = read_file(file, ByteCount(64u << 20));
  if (!text) {
    throw Error(Code::not_found, file, "does not exist", "lifeboat plan STORE… --out " + file);
  }
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (json.is_discarded()) {
    throw Error(Code::corrupt, file, "is no JSON", "make a new one with `lifeboat plan --out`");
  }
  return while_doing("reading " + file, [&] { return recovery::plan_from_json(json); });
}

// A dry run: a plan that was begun goes on; for another one the targets must still be as it says.
int compare_with_world(const Globals& globals, Session& session, const vault::Vault& vault,
                       const recovery::Plan& plan) {
  auto begun = recovery::unfinished_plans(session.config());
  bool was_begun = std::any_of(begun.begin(), begun.end(),
                               [&](const recovery::Plan& other) { return other.id == plan.id; });
  if (was_begun) {
    say("this plan was begun; apply goes on with the first step that is not done");
  } else {
    static_cast<void>(recovery::make_plan(session.context(), vault,
                                          {.stores = plan.stores,
                                           .point = plan.point,
                                           .to = plan.to,
                                           .overwrite = plan.overwrite,
                                           .accept_loss = plan.accept_loss,
                                           .kafka = plan.kafka}));
  }
  return tell_dry_run(globals, plan);
}

}  // namespace

void add_apply(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ApplyOptions>();
  auto* verb = app.add_subcommand("apply", "Do a plan; run again, it goes on where it stopped");
  verb->add_option("PLANFILE", options->file, "What `lifeboat plan --out` saved")->required();
  verb->add_option("--wait", options->wait, "How long to wait for a server that is down (10m)");
  verb->add_flag("--dry-run", options->dry_run, "Compare the plan with the world, do nothing");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return apply(g, *options); }, Form::events);
  });
}

}  // namespace lifeboat::cli
