#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "store/object_store.hpp"
#include "vault/crypto.hpp"
#include "vault/sealing.hpp"

// Who can open an encrypted vault. The vault's key is drawn once and never changes; what is kept of
// it in the vault, as objects `keys/<id>`, are copies that are wrapped by a passphrase or by a key
// file. So keys come and go without any data being written again. docs/format.md has the bytes.
namespace lifeboat::vault {

class Vault;

constexpr std::string_view kKeyPrefix = "keys/";

enum class KeyKind : std::uint8_t { passphrase = 1, file = 2 };
std::string_view to_string(KeyKind kind);

// What somebody has to open a vault with.
struct KeyMaterial {
  enum class Kind {
    passphrase,  // any text
    file,        // 32 bytes of chance
    vault_key,   // the vault's key itself, from its recovery sheet
  };
  Kind kind = Kind::passphrase;
  Secret secret;
  std::string from;  // for messages: "the passphrase in /etc/lifeboat/passphrase"
};

// One key of a vault, without its secret.
struct KeyInfo {
  std::string id;  // 16 hex digits
  KeyKind kind = KeyKind::passphrase;
  Timestamp created;
  std::string label;
};
// A key, or why it cannot be read. Broken ones are listed, never hidden.
struct ListedKey {
  std::string id;
  std::optional<KeyInfo> key;
  std::optional<Error> problem;
  bool foreign = false;  // of another vault: an `init` that was cut short left it
};
std::vector<ListedKey> list_keys(store::ObjectStore& store, const std::string& vault_id);

// The keys of an open vault, each with what is wrong with it; and, when there is none any more that
// can be read, or the one that opened it is gone, that. Of a plain vault too: a key that is there
// says something.
struct CheckedKey {
  std::string name;  // of its object
  std::optional<Error> problem;
};
std::vector<CheckedKey> check_keys(const Vault& vault);

// The vault's key, unwrapped, and by which of its keys ("": by the vault's key itself).
// Error(denied) that names the keys there are when the material opens none of them.
struct Unlocked {
  Secret vault_key;
  std::string key_id;
};
Unlocked unlock(store::ObjectStore& store, const std::string& vault_id,
                const KeyMaterial& material);

// Adds a key: durable when it returns. The material is a passphrase or a key file's secret.
KeyInfo add_key(store::ObjectStore& store, const Sealing& sealing, const KeyMaterial& material,
                const std::string& label, Clock& clock, const ScryptCost& cost = {});
// Error(not_found) when there is none of that id, Error(refused) for the last one.
void remove_key(store::ObjectStore& store, const std::string& vault_id, const std::string& id);

// A wrapped key's object. Error(corrupt) or Error(unsupported) naming it.
struct WrappedKey {
  KeyInfo info;
  std::string vault_id;
  ScryptCost cost;  // of a passphrase
  std::string salt;
  std::string wrapped;
  std::string authenticated;  // all of the above as it is stored
};
WrappedKey parse_key(const std::string& name, std::string_view object);
std::optional<Secret> unwrap(const WrappedKey& key, const KeyMaterial& material);

// Secrets as text: a key file has 64 hex digits, a recovery key 72 of which the last 8 are a
// checksum. Blanks, line ends, '-' and lines that begin with '#' do not count.
std::string to_text(const KeyMaterial& material);
// Error(config) with `from` for anything else; what it says holds nothing of the text.
KeyMaterial parse_key_text(std::string_view text, const std::string& from);

}  // namespace lifeboat::vault
