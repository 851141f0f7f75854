#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.hpp"
#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "cli/recovery_sheet.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/inspect.hpp"
#include "recovery/vault_access.hpp"
#include "recovery/vault_key.hpp"
#include "recovery/writers.hpp"
#include "store/open_store.hpp"
#include "vault/lost_root.hpp"
#include "vault/vault.hpp"

namespace lifeboat::cli {
namespace {

struct InitOptions {
  bool print = false;
  bool dry_run = false;
  bool recover_root = false;
  std::string recovery_sheet;
};
struct MadeVault {
  std::string id;     // empty: a dry run, and there is none yet
  bool made = false;  // or would be made
  bool recovered = false;
  bool encrypted = false;
  std::string key_file;  // that was made for it
};
int print_template(const Globals& globals);
int write_config(const Globals& globals, const std::filesystem::path& file, bool dry_run);
MadeVault make_vault(Session& session, const InitOptions& options);
MadeVault recover_vault(Session& session);
void tell(const Session& session, const MadeVault& vault, const InitOptions& options);
std::vector<recovery::Finding> look_at_all(Session& session, bool made, bool dry_run);
void tell_next(const recovery::Config& config, bool problem);

// First call: writes lifeboat.yaml. Second call, when it has been edited: makes the vault and looks
// whether all is as it must be. A third call changes nothing.
int init(const Globals& globals, const InitOptions& options) {
  if (options.print) return print_template(globals);
  auto file = find_config_file(globals);
  if (!std::filesystem::exists(file)) return write_config(globals, file, options.dry_run);

  Session session(globals);
  auto vault = options.recover_root ? recover_vault(session) : make_vault(session, options);
  if (!globals.json) tell(session, vault, options);
  auto findings = look_at_all(session, vault.made, options.dry_run);
  if (globals.json) {
    print_document({{"config", session.config().file.string()},
                    {"wrote_config", false},
                    {"vault",
                     {{"path", session.config().vault.shown()},
                      {"id", vault.id},
                      {"made", vault.made},
                      {"recovered", vault.recovered},
                      {"encrypted", vault.encrypted},
                      {"key_file", vault.key_file}}},
                    {"recovery_sheet", options.recovery_sheet},
                    {"dry_run", options.dry_run},
                    {"findings", findings_json(findings)},
                    {"ok", !has_problem(findings)}});
  } else {
    print_findings(findings);
    tell_next(session.config(), has_problem(findings));
  }
  return has_problem(findings) ? exit_code(Code::failed) : 0;
}

// The store first: who loses patience with a server that does not answer has it recorded.
std::vector<recovery::Finding> look_at_all(Session& session, bool made, bool dry_run) {
  using recovery::Ask;
  std::vector<recovery::Finding> out;
  if (made && !dry_run) recovery::check_store(session.context(), Ask::again, out);
  if (!made && !dry_run) {
    out.push_back(recovery::check_writers(session.context(), Ask::when_unknown));
  }
  const auto servers = recovery::check_all(session.context());
  out.insert(out.end(), servers.begin(), servers.end());
  return out;
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

// The key that the vault is made with; nullopt: it is made plain.
std::optional<vault::KeyMaterial> first_key(const recovery::Config& config, MadeVault& vault) {
  const auto file = config.vault_key ? config.vault_key->key_file : "";
  if (!file.empty() && !std::filesystem::exists(file) && !recovery::vault_key_of_environment()) {
    vault.key_file = file.string();
    return recovery::make_key_file(file);
  }
  auto key = recovery::vault_key(config);
  if (key) recovery::check_new_passphrase(*key);
  return key;
}

MadeVault make_vault(Session& session, const InitOptions& options) {
  const auto& config = session.config();
  MadeVault out;
  out.made = true;
  out.encrypted = config.vault_key || recovery::vault_key_of_environment();
  if (!store::store_exists(config.vault)) {
    if (options.dry_run) return out;
    store::create_store(config.vault);
  }
  const auto store = recovery::open_store(config);
  out.made = !vault::Vault::exists(*store);
  if (!out.made) {
    auto open = recovery::open_vault(config).vault;
    out.id = open.id();
    return out;
  }
  vault::require_root_not_lost(*store);  // before a key file is made for nothing
  if (options.dry_run) return out;
  recovery::share_vault_with_postgres(config);
  auto key = first_key(config, out);
  auto made = key ? vault::Vault::create(*store, session.clock(), session.random(), *key, "init")
                  : vault::Vault::create(*store, session.clock(), session.random());
  out.id = made.id();
  if (!options.recovery_sheet.empty()) {
    write_recovery_sheet(made, config, options.recovery_sheet);
  }
  return out;
}

// Its root object was lost. No key file is made for that: the vault has its keys.
MadeVault recover_vault(Session& session) {
  const auto store = recovery::open_store(session.config());
  auto key = recovery::vault_key(session.config());
  auto vault =
      vault::recover_root(*store, session.clock(), session.random(), key ? &*key : nullptr);
  MadeVault out;
  out.id = vault.id();
  out.recovered = true;
  out.encrypted = vault.encrypted();
  return out;
}

// The sheet is a secret: on a terminal it is read by who has it printed, in a pipe by a log.
void tell_recovery_sheet(const Session& session, const InitOptions& options) {
  if (!options.recovery_sheet.empty()) {
    say("wrote the recovery sheet to " + options.recovery_sheet +
        ": print it, keep it apart from the vault, and delete the file");
  } else if (isatty(STDOUT_FILENO) != 0) {
    print_recovery_sheet(recovery::open_vault(session.config()).vault, session.config());
    finish_stdout();
  } else {
    say("THE RECOVERY SHEET WAS NOT PRINTED, as stdout is no terminal. Without it all is lost when "
        "the key is.\n  next: `lifeboat key export --out FILE`, print the file, delete it");
  }
}

void tell(const Session& session, const MadeVault& vault, const InitOptions& options) {
  const auto path = session.config().vault.shown();
  const std::string kind = vault.encrypted ? "an encrypted" : "a plain";
  if (vault.recovered) {
    say("wrote the root object of vault " + vault.id + " anew in " + path +
        (vault.encrypted ? ": its keys and recovery sheets are what they were"
                         : ". The id is a new one: plans that were made before, and restores that "
                           "were stopped, are made again"));
  } else if (!vault.made) {
    say("vault " + vault.id + " is there already: " + path);
  } else if (options.dry_run) {
    say("would make " + kind + " vault in " + path);
  } else {
    say("made " + kind + " vault, " + vault.id + ", in " + path);
  }
  if (!vault.key_file.empty()) {
    say("made its key file " + vault.key_file + ": keep a copy of it elsewhere");
  }
  if (!vault.encrypted) {
    say("THE VAULT IS NOT ENCRYPTED: whoever can read its files can read all that it holds. A "
        "vault "
        "is encrypted when vault_key is given in lifeboat.yaml before it is made");
  } else if (vault.made && !options.dry_run) {
    tell_recovery_sheet(session, options);
  }
}

void tell_next(const recovery::Config& config, bool problem) {
  say(problem ? "next: correct what is marked as a problem, then `lifeboat check`"
      : config.has_server()
          ? "next: `lifeboat run` (as a service) archives and takes points; `lifeboat backup` "
            "takes one now"
          : "no server is named: this lifeboat.yaml is for looking, `lifeboat verify` and "
            "`lifeboat prune`; backups need one");
}

}  // namespace

void add_init(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<InitOptions>();
  auto* verb = app.add_subcommand(
      "init", "Write lifeboat.yaml; once it is edited, make the vault and check everything");
  verb->add_flag("--print", options->print, "Print a commented lifeboat.yaml, write nothing");
  auto* dry_run =
      verb->add_flag("--dry-run", options->dry_run, "Say what would be made, make nothing");
  verb->add_flag("--recover-root", options->recover_root,
                 "Write the vault's root object anew when it alone is lost")
      ->excludes(dry_run);
  verb->add_option("--recovery-sheet", options->recovery_sheet,
                   "Write the recovery sheet of an encrypted vault into this file")
      ->type_name("FILE");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& globals) { return init(globals, *options); });
  });
}

}  // namespace lifeboat::cli
