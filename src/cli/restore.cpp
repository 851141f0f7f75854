#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/apply_plan.hpp"
#include "cli/output.hpp"
#include "cli/plan_request.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/apply.hpp"

namespace lifeboat::cli {
namespace {

struct RestoreOptions {
  PlanWords words;
  std::string wait = "10m";
  bool yes = false;
  bool resume = false;
  bool dry_run = false;
};
std::optional<recovery::Plan> find_unfinished(Session& session, const vault::Vault& vault,
                                              const recovery::PlanRequest& request,
                                              const RestoreOptions& options);

// Plans, asks, applies. A restore that was begun and not finished is gone on with.
int restore(const Globals& globals, const RestoreOptions& options) {
  const Millis wait = parse_wait(options.wait);
  Session session(globals, Form::events);
  auto request = to_request(options.words, session.config());
  auto context = session.context();
  auto vault = recovery::open_vault(session.config());

  auto unfinished = find_unfinished(session, vault.vault, request, options);
  auto plan = unfinished ? *unfinished : recovery::make_plan(context, vault.vault, request);
  if (options.dry_run) return tell_dry_run(globals, plan);
  if (!options.yes && !(unfinished && options.resume)) {
    say(recovery::describe(plan));
    if (!confirmed(globals, "Restore so?", "--yes")) {
      throw Error(Code::cancelled, "", "not confirmed; nothing was done");
    }
  }
  return apply_and_tell(globals, session, vault.vault, plan, wait);
}

// The newest unfinished plan for just these stores, when --resume or --yes asks to go on; one that
// was for another point or another time than the command names is another restore.
std::optional<recovery::Plan> find_unfinished(Session& session, const vault::Vault& vault,
                                              const recovery::PlanRequest& request,
                                              const RestoreOptions& options) {
  std::optional<recovery::Plan> found;
  for (auto& plan : recovery::unfinished_plans(session.config())) {
    if (plan.stores != request.stores || plan.vault_id != vault.id()) continue;
    if (!options.words.to.empty() && plan.to != request.to) continue;
    if (!options.words.point.empty() && request.point != plan.point &&
        vault::resolve_point(vault, request.point).id != plan.point) {
      continue;
    }
    found = std::move(plan);
  }
  auto& reporter = session.context().reporter;
  if (found && (options.resume || options.yes)) {
    reporter.note("going on with the unfinished restore " + found->id + " of point " +
                  found->point);
    return found;
  }
  if (found) {
    reporter.note("restore " + found->id +
                  " of these stores is not finished; --resume goes on with it");
  } else if (options.resume) {
    throw Error(Code::not_found, session.config().state.string(),
                "holds no unfinished restore of just these stores",
                "leave --resume out to begin a new one");
  }
  return std::nullopt;
}

}  // namespace

void add_restore(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<RestoreOptions>();
  auto* verb = app.add_subcommand("restore", "Bring stores back: plan, confirm, apply");
  add_plan_words(*verb, options->words);
  verb->add_option("--wait", options->wait, "How long to wait for a server that is down (10m)");
  verb->add_flag("--yes", options->yes, "Do not ask; go on with an unfinished restore");
  verb->add_flag("--resume", options->resume, "Go on with an unfinished restore");
  verb->add_flag("--dry-run", options->dry_run, "Show the plan, do nothing");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return restore(g, *options); }, Form::events);
  });
}

}  // namespace lifeboat::cli
