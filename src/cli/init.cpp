#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.hpp"
#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/inspect.hpp"
#include "recovery/vault_access.hpp"
#include "recovery/writers.hpp"
#include "store/open_store.hpp"
#include "vault/vault.hpp"

namespace lifeboat::cli {
namespace {

struct InitOptions {
  bool print = false;
  bool dry_run = false;
};
struct MadeVault {
  std::string id;     // empty: a dry run, and there is none yet
  bool made = false;  // or would be made
};
int print_template(const Globals& globals);
int write_config(const Globals& globals, const std::filesystem::path& file, bool dry_run);
MadeVault make_vault(Session& session, bool dry_run);
void tell(const Session& session, const MadeVault& vault, bool dry_run);

// First call: writes lifeboat.yaml. Second call, when it has been edited: makes the vault and looks
// whether all is as it must be. A third call changes nothing.
int init(const Globals& globals, const InitOptions& options) {
  if (options.print) return print_template(globals);
  auto file = find_config_file(globals);
  if (!std::filesystem::exists(file)) return write_config(globals, file, options.dry_run);

  Session session(globals);
  auto vault = make_vault(session, options.dry_run);
  if (!globals.json) tell(session, vault, options.dry_run);
  auto findings = recovery::check_all(session.context());
  if (!options.dry_run) findings.push_back(recovery::check_writers(session.context()));
  if (globals.json) {
    print_document(
        {{"config", session.config().file.string()},
         {"wrote_config", false},
         {"vault",
          {{"path", session.config().vault.shown()}, {"id", vault.id}, {"made", vault.made}}},
         {"dry_run", options.dry_run},
         {"findings", findings_json(findings)},
         {"ok", !has_problem(findings)}});
  } else {
    print_findings(findings);
    say(has_problem(findings)
            ? "next: correct what is marked as a problem, then `lifeboat check`"
            : "next: `lifeboat run` (as a service) archives and takes points; `lifeboat backup` "
              "takes one now");
  }
  return has_problem(findings) ? exit_code(Code::failed) : 0;
}

int print_template(const Globals& globals) {
  if (globals.json) {
    print_document({{"template", recovery::config_template()}});
  } else {
    print_data(recovery::config_template());
  }
  return 0;
}

int write_config(const Globals& globals, const std::filesystem::path& file, bool dry_run) {
  auto path = std::filesystem::absolute(file).string();
  if (!dry_run) write_file_durably(path, recovery::config_template());
  if (globals.json) {
    print_document({{"config", path}, {"wrote_config", !dry_run}, {"dry_run", dry_run}});
  } else if (dry_run) {
    say("would write " + path);
  } else {
    say("wrote " + path);
    say("next: edit it, then run `lifeboat init` again: it makes the vault and checks the servers");
  }
  return 0;
}

MadeVault make_vault(Session& session, bool dry_run) {
  const auto& place = session.config().vault;
  if (!store::store_exists(place)) {
    if (dry_run) return {"", true};
    store::create_store(place);
  }
  auto store = store::open_store(place);
  if (vault::Vault::exists(*store)) return {vault::Vault::open(*store).id(), false};
  if (dry_run) return {"", true};
  recovery::share_vault_with_postgres(session.config());
  return {vault::Vault::create(*store, session.clock(), session.random()).id(), true};
}

void tell(const Session& session, const MadeVault& vault, bool dry_run) {
  const auto path = session.config().vault.shown();
  if (!vault.made) {
    say("vault " + vault.id + " is there already: " + path);
  } else if (dry_run) {
    say("would make a vault in " + path);
  } else {
    say("made vault " + vault.id + " in " + path);
  }
}

}  // namespace

void add_init(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<InitOptions>();
  auto* verb = app.add_subcommand(
      "init", "Write lifeboat.yaml; once it is edited, make the vault and check everything");
  verb->add_flag("--print", options->print, "Print a commented lifeboat.yaml, write nothing");
  verb->add_flag("--dry-run", options->dry_run, "Say what would be made, make nothing");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& globals) { return init(globals, *options); });
  });
}

}  // namespace lifeboat::cli
