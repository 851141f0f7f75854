#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "base/error.hpp"
#include "cli/output.hpp"
#include "cli/recovery_sheet.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "recovery/vault_key.hpp"
#include "store/open_store.hpp"
#include "vault/keys.hpp"

namespace lifeboat::cli {
namespace {

using vault::KeyMaterial;

struct KeyOptions {
  std::string id;
  std::string label;
  std::string passphrase_file;
  std::string key_file;
  std::string file;
};
KeyMaterial new_key(const KeyOptions& options);
void print_keys(const vault::Root& root, const std::vector<vault::ListedKey>& keys);
nlohmann::json keys_json(const vault::Root& root, const std::vector<vault::ListedKey>& keys);
vault::KeyInfo add_to(const recovery::OpenVault& open, const KeyMaterial& key,
                      const std::string& label, Clock& clock);
void require_encrypted(const vault::Vault& vault);
void tell_removed(const std::string& id);
void tell_added(const Globals& globals, const vault::KeyInfo& key, const std::string& from,
                const std::string& removed = "");

// Which keys the vault has. Needs none of them.
int list_keys(const Globals& globals) {
  Session session(globals);
  auto store = recovery::open_store(session.config());
  auto root = vault::Vault::read_root(*store);
  auto keys = vault::list_keys(*store, root.id);
  if (globals.json) {
    print_document(keys_json(root, keys));
  } else {
    print_keys(root, keys);
  }
  return 0;
}

// Does what lifeboat.yaml names open the vault, and by which key?
int check_key(const Globals& globals) {
  Session session(globals);
  auto open = recovery::open_vault(session.config());
  const auto& vault = open.vault;
  if (globals.json) {
    print_document({{"vault", vault.id()},
                    {"encrypted", vault.encrypted()},
                    {"opened_by", vault.opened_by()}});
  } else if (!vault.encrypted()) {
    print_data("the vault is plain: it needs no key\n");
  } else {
    print_data("opened by " +
               (vault.opened_by().empty() ? "the recovery key" : "key " + vault.opened_by()) +
               "\n");
  }
  return 0;
}

int add(const Globals& globals, const KeyOptions& options) {
  Session session(globals);
  auto open = recovery::open_vault(session.config());
  require_encrypted(open.vault);
  auto key = new_key(options);
  tell_added(globals, add_to(open, key, options.label, session.clock()), key.from);
  return 0;
}

// Only with another key in hand: nobody locks himself out.
int remove(const Globals& globals, const KeyOptions& options) {
  Session session(globals);
  auto open = recovery::open_vault(session.config());
  require_encrypted(open.vault);
  if (options.id == open.vault.opened_by()) {
    throw Error(Code::refused, "key " + options.id,
                "is the one that lifeboat.yaml names: without it this machine could not read the "
                "vault",
                "`lifeboat key rotate` puts another one in its place");
  }
  vault::remove_key(open.vault.store(), open.vault.id(), options.id);
  if (globals.json) print_document({{"removed", options.id}});
  tell_removed(options.id);
  return 0;
}

// A new key, proven to open the vault, in the place of the one that lifeboat.yaml names.
int rotate(const Globals& globals, const KeyOptions& options) {
  Session session(globals);
  auto open = recovery::open_vault(session.config());
  require_encrypted(open.vault);
  if (open.vault.opened_by().empty()) {
    throw Error(Code::refused, "the vault", "was opened by its recovery key, which stays",
                "add a key with `lifeboat key add`, and remove others with `lifeboat key rm`");
  }
  auto key = new_key(options);
  auto added = add_to(open, key, options.label, session.clock());
  vault::remove_key(open.vault.store(), open.vault.id(), open.vault.opened_by());
  tell_added(globals, added, key.from, open.vault.opened_by());
  tell_removed(open.vault.opened_by());
  say("  next: name the new one as vault_key in lifeboat.yaml, here and wherever this vault is "
      "used");
  return 0;
}

int export_sheet(const Globals& globals, const KeyOptions& options) {
  Session session(globals);
  auto open = recovery::open_vault(session.config());
  if (options.file.empty()) {
    print_recovery_sheet(open.vault, session.config(), globals.json);
    return 0;
  }
  write_recovery_sheet(open.vault, session.config(), options.file);
  if (globals.json) print_document({{"wrote", options.file}});
  say("wrote " + options.file + ": print it, keep it apart from the vault, and delete the file");
  return 0;
}

// With the recovery sheet: the vault is given the key that lifeboat.yaml names, or another.
int import_sheet(const Globals& globals, const KeyOptions& options) {
  Session session(globals);
  auto sheet = recovery::read_key_file(options.file);
  if (sheet.kind != KeyMaterial::Kind::vault_key) {
    throw Error(Code::usage, options.file, "is a key file, not a recovery sheet",
                "name it as vault_key: {key_file: …} in lifeboat.yaml");
  }
  auto store = std::make_unique<store::MeteredStore>(recovery::open_store(session.config()));
  auto vault = vault::Vault::open(*store, &sheet);
  recovery::OpenVault open{std::move(store), std::move(vault)};
  bool named = options.passphrase_file.empty() && options.key_file.empty();
  auto configured = named ? recovery::vault_key(session.config()) : std::nullopt;
  auto key = configured ? std::move(*configured) : new_key(options);
  recovery::check_new_passphrase(key);
  tell_added(globals, add_to(open, key, options.label, session.clock()), key.from);
  return 0;
}

void require_encrypted(const vault::Vault& vault) {
  if (vault.encrypted()) return;
  throw Error(Code::refused, "vault " + vault.id(), "is plain: it has no keys, and can have none",
              "make another one, with vault_key in lifeboat.yaml, and take new points there");
}

vault::KeyInfo add_to(const recovery::OpenVault& open, const KeyMaterial& key,
                      const std::string& label, Clock& clock) {
  auto added = vault::add_key(*open.store, *open.vault.sealing(), key, label, clock);
  vault::Vault::open(*open.store, &key);  // it does open
  return added;
}

// Without echo. Twice, as nobody sees what is typed.
KeyMaterial ask_for_passphrase() {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
    throw Error(Code::usage, "", "which new key? There is no terminal to ask for a passphrase",
                "give --passphrase-file FILE, or --key-file FILE (made when it is not there)");
  }
  termios before{};
  tcgetattr(STDIN_FILENO, &before);
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::string typed[2];
  for (int i = 0; i < 2; ++i) {
    std::cerr << (i == 0 ? "New passphrase: " : "Again: ") << std::flush;
    std::getline(std::cin, typed[i]);
    std::cerr << "\n";
  }
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  bool same = typed[0] == typed[1];
  KeyMaterial key{KeyMaterial::Kind::passphrase, vault::Secret(typed[0]), "the passphrase typed"};
  for (auto& text : typed) vault::wipe(text);
  if (!same) throw Error(Code::usage, "", "the two passphrases differ", "try again");
  return key;
}

KeyMaterial new_key(const KeyOptions& options) {
  if (!options.key_file.empty()) {
    return std::filesystem::exists(options.key_file) ? recovery::read_key_file(options.key_file)
                                                     : recovery::make_key_file(options.key_file);
  }
  auto key = options.passphrase_file.empty() ? ask_for_passphrase()
                                             : recovery::read_passphrase(options.passphrase_file);
  recovery::check_new_passphrase(key);
  return key;
}

void tell_added(const Globals& globals, const vault::KeyInfo& key, const std::string& from,
                const std::string& removed) {
  if (globals.json) {
    nlohmann::json out = {{"added", key.id}, {"kind", to_string(key.kind)}};
    if (!removed.empty()) out["removed"] = removed;
    print_document(out);
  }
  say(fmt::format("added key {}: {} opens the vault", key.id, from));
}

void tell_removed(const std::string& id) {
  say("removed key " + id +
      ". Who has copied its object before, and knows its passphrase or key file, can still read "
      "the "
      "vault: the data is encrypted as it was. If that matters, begin a new vault");
}

void print_keys(const vault::Root& root, const std::vector<vault::ListedKey>& keys) {
  if (!root.encrypted) {
    say("vault " + root.id + " is plain: it has no keys");
    return;
  }
  Table table({"KEY", "KIND", "CREATED", "LABEL"});
  for (const auto& one : keys) {
    if (one.key) {
      table.row({one.id, std::string(to_string(one.key->kind)), to_string(one.key->created),
                 one.key->label});
    } else {
      table.row({one.id, one.foreign ? "FOREIGN" : "BROKEN", "-", one.problem->message()});
    }
  }
  print_data(table.text());
}

nlohmann::json keys_json(const vault::Root& root, const std::vector<vault::ListedKey>& keys) {
  auto out = nlohmann::json::array();
  for (const auto& one : keys) {
    if (one.key) {
      out.push_back({{"id", one.id},
                     {"kind", to_string(one.key->kind)},
                     {"created", to_string(one.key->created)},
                     {"label", one.key->label}});
    } else {
      out.push_back({{"id", one.id}, {"problem", one.problem->what()}});
    }
  }
  return {{"vault", root.id}, {"encrypted", root.encrypted}, {"keys", out}};
}

void add_new_key_options(CLI::App& verb, KeyOptions& options) {
  auto* file =
      verb.add_option("--passphrase-file", options.passphrase_file,
                      "The new passphrase is this file's first line (else it is asked for)")
          ->type_name("FILE");
  verb.add_option("--key-file", options.key_file, "A key file instead; made when it is not there")
      ->type_name("FILE")
      ->excludes(file);
  verb.add_option("--label", options.label, "Whose, or what for; everybody can read it");
}

}  // namespace

void add_key(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<KeyOptions>();
  auto* verb = app.add_subcommand("key", "Who can open an encrypted vault");
  verb->require_subcommand(1);
  auto action = [&](CLI::App* sub, int (*act)(const Globals&, const KeyOptions&)) {
    sub->callback([&invocation, options, act] {
      invocation.choose([options, act](const Globals& g) { return act(g, *options); });
    });
  };
  verb->add_subcommand("ls", "List the vault's keys")->callback([&invocation] {
    invocation.choose(list_keys);
  });
  verb->add_subcommand("check", "Does the key that lifeboat.yaml names open the vault?")
      ->callback([&invocation] { invocation.choose(check_key); });

  auto* adds = verb->add_subcommand("add", "Add a passphrase or a key file");
  add_new_key_options(*adds, *options);
  action(adds, add);

  auto* removes = verb->add_subcommand("rm", "Remove a key; the data is not written again");
  removes->add_option("ID", options->id, "Of `lifeboat key ls`")->required();
  action(removes, remove);

  auto* rotates = verb->add_subcommand("rotate", "Put a new key in the place of the one in use");
  add_new_key_options(*rotates, *options);
  action(rotates, rotate);

  auto* exports = verb->add_subcommand("export", "Print the recovery sheet: it opens the vault");
  exports->add_option("--out", options->file, "Into this file instead")->type_name("FILE");
  action(exports, export_sheet);

  auto* imports = verb->add_subcommand(
      "import", "With a recovery sheet: let the key that lifeboat.yaml names open the vault");
  imports->add_option("FILE", options->file, "The sheet, or its digits")->required();
  add_new_key_options(*imports, *options);
  action(imports, import_sheet);
}

}  // namespace lifeboat::cli
