#include "cli/wal_fetch.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.hpp"
#include "cli/output.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/context.hpp"
#include "recovery/vault_key.hpp"
#include "recovery/wal_fetch.hpp"
#include "store/open_store.hpp"

namespace lifeboat::cli {
namespace {

struct WalFetchOptions {
  std::string name;
  std::string destination;
  std::string vault;
  std::string key_file;
  std::string until;
};

// Signals keep their default here: a shutdown of PostgreSQL ends its restore_command by SIGTERM and
// looks for just that.
int wal_fetch(const Globals& globals, const WalFetchOptions& options) {
  // PostgreSQL's user may not be allowed to read lifeboat.yaml, which holds passwords.
  recovery::Config config;
  if (options.vault.empty()) {
    config = recovery::load_config(find_config_file(globals));
  } else {
    config.vault = store::parse_location(options.vault);
  }
  const auto until = parse_lsn(options.until);
  if (!until && !options.until.empty()) {
    throw Error(Code::usage, "--until", options.until + " is not an LSN", "such as 16/B374D848");
  }
  auto store = store::open_store(config.vault);
  auto key = options.key_file.empty() ? recovery::vault_key(config)
                                      : std::optional(recovery::read_key_file(options.key_file));
  bool found = recovery::wal_fetch(vault::Vault::open(*store, key ? &*key : nullptr), options.name,
                                   options.destination, until);
  if (!globals.quiet) {
    say("lifeboat: " + options.name + (found ? " fetched" : " is not in the logbook"));
  }
  return found ? 0 : 1;
}

}  // namespace

void add_wal_fetch(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<WalFetchOptions>();
  auto* verb = app.add_subcommand(
      "wal-fetch", "Fetch one WAL file out of the logbook (PostgreSQL's restore_command)");
  verb->add_option("NAME", options->name, "%f: name of a WAL file or timeline history")->required();
  verb->add_option("DESTINATION", options->destination, "%p: where to put it")->required();
  verb->add_option("--vault", options->vault,
                   "The vault's directory or s3://…; lifeboat.yaml is not read")
      ->type_name("PLACE");
  verb->add_option("--key-file", options->key_file, "What opens an encrypted vault")
      ->type_name("FILE");
  verb->add_option("--until", options->until, "All WAL ends here: what follows was pruned")
      ->type_name("LSN");
  verb->footer("Exit status: 0 fetched, 1 not in the logbook, 200 any error (PostgreSQL stops).");
  verb->callback([&invocation, options] {
    invocation.choose([options](const Globals& g) { return wal_fetch(g, *options); }, Form::other);
  });
}

}  // namespace lifeboat::cli
