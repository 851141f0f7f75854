#include "vault/keys.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "vault/object.hpp"
#include "vault/vault.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kWrapSalt = 32;
constexpr std::size_t kWrapped = kKeySize + kTagSize;
constexpr std::size_t kMostLabel = 200;
constexpr std::size_t kCheckBytes = 4;  // of a recovery key's checksum

std::string key_name(const std::string& id) {
  return std::string(kKeyPrefix) + id;
}

bool valid_id(std::string_view id) {
  return id.size() == kIdDigits && id.find_first_not_of("0123456789abcdef") == id.npos;
}

void append_text(std::string& out, std::string_view text) {
  append_le<std::uint16_t>(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

std::string_view take_text(ByteReader& reader) {
  return reader.take(reader.le<std::uint16_t>());
}

// What wraps the vault's key. It is used for this one wrap: the salt is drawn for it.
Secret wrapping_key(const WrappedKey& key, const KeyMaterial& material) {
  if (key.info.kind == KeyKind::passphrase) {
    return scrypt(material.secret.view(), key.salt, key.cost);
  }
  return hkdf_sha256(material.secret.view(), key.salt, "lifeboat wrap");
}

bool fits(KeyKind kind, const KeyMaterial& material) {
  return (kind == KeyKind::passphrase && material.kind == KeyMaterial::Kind::passphrase) ||
         (kind == KeyKind::file && material.kind == KeyMaterial::Kind::file);
}

std::string encode(const WrappedKey& key) {
  std::string out;
  append_le<std::uint8_t>(out, static_cast<std::uint8_t>(key.info.kind));
  append_text(out, key.vault_id);
  append_le<std::int64_t>(out, key.info.created.value);
  append_text(out, key.info.label);
  append_le<std::uint32_t>(out, key.cost.log2_n);
  append_le<std::uint32_t>(out, key.cost.r);
  append_le<std::uint32_t>(out, key.cost.p);
  return out + key.salt;
}

std::string aad_of(const WrappedKey& key) {
  return "lifeboat key " + key.info.id + key.authenticated;
}

std::string describe_keys(const std::vector<ListedKey>& keys) {
  std::string out;
  for (const auto& one : keys) {
    if (one.foreign) continue;
    out += out.empty() ? "" : ", ";
    out += one.key ? fmt::format("{} ({}{}{})", one.id, to_string(one.key->kind),
                                 one.key->label.empty() ? "" : ", ", one.key->label)
                   : one.id + " (damaged)";
  }
  return out.empty() ? "none" : out;
}

Error none_opens(const std::vector<ListedKey>& keys, const KeyMaterial& material) {
  bool fitting = false;
  const Error* damage = nullptr;
  for (const auto& one : keys) {
    fitting = fitting || (one.key && fits(one.key->kind, material));
    if (one.problem && !one.foreign) damage = &*one.problem;
  }
  if (!fitting && damage != nullptr) return *damage;
  return Error(Code::denied, "the vault's key",
               fmt::format("{} opens none of its keys: {}", material.from, describe_keys(keys)),
               "correct vault_key in lifeboat.yaml; with a recovery sheet: `lifeboat key import`");
}

std::string hex_digits(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with('#')) continue;
    for (char c : line) {
      if (c != ' ' && c != '-' && c != '\r' && c != '\t') out += c;
    }
  }
  return out;
}

std::optional<Secret> from_hex(std::string_view hex) {
  Secret out(hex.size() / 2);
  auto nibble = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.data()[i] = static_cast<char>(high * 16 + low);
  }
  return out;
}

std::string checksum_of(std::string_view vault_key) {
  Sha256 hash;
  hash.update("lifeboat recovery key");
  hash.update(vault_key);
  auto digest = hash.finish();
  return {reinterpret_cast<const char*>(digest.bytes.data()), kCheckBytes};
}

}  // namespace

std::string_view to_string(KeyKind kind) {
  return kind == KeyKind::passphrase ? "passphrase" : "key file";
}

WrappedKey parse_key(const std::string& name, std::string_view object) {
  auto opened = unframe(ObjectType::key, name, object);
  auto corrupt = [&](const std::string& what) { throw_corrupt(ObjectType::key, name, what); };
  if (opened.flags != 0) corrupt("has unknown flags");
  ByteReader reader(opened.payload, "key " + name);
  WrappedKey key;
  key.info.id = name.substr(std::min(name.size(), kKeyPrefix.size()));
  auto kind = reader.le<std::uint8_t>();
  if (kind != 1 && kind != 2) corrupt("is of an unknown kind");
  key.info.kind = static_cast<KeyKind>(kind);
  key.vault_id = std::string(take_text(reader));
  key.info.created = Timestamp(reader.le<std::int64_t>());
  key.info.label = std::string(take_text(reader));
  key.cost = {reader.le<std::uint32_t>(), reader.le<std::uint32_t>(), reader.le<std::uint32_t>()};
  if (key.info.kind == KeyKind::passphrase && !valid(key.cost)) {
    corrupt("asks for a scrypt that takes more than it may");
  }
  key.salt = std::string(reader.take(kWrapSalt));
  key.authenticated = std::string(opened.payload.substr(0, reader.at()));
  key.wrapped = std::string(reader.take(kWrapped));
  reader.expect_end();
  return key;
}

std::optional<Secret> unwrap(const WrappedKey& key, const KeyMaterial& material) {
  if (!fits(key.info.kind, material)) return std::nullopt;
  Secret wrapped(key.wrapped);
  if (!gcm_open(wrapping_key(key, material).view(), Nonce{}, aad_of(key), wrapped.data(),
                wrapped.size())) {
    return std::nullopt;
  }
  return Secret(wrapped.view().substr(0, kKeySize));
}

std::vector<ListedKey> list_keys(store::ObjectStore& store, const std::string& vault_id) {
  std::vector<ListedKey> out;
  store.list(std::string(kKeyPrefix), [&](const store::ObjectInfo& info) {
    ListedKey listed{info.name.substr(kKeyPrefix.size()), std::nullopt, std::nullopt, false};
    try {
      auto object = store.get(info.name);
      if (!object) return;  // removed meanwhile
      if (!valid_id(listed.id)) {
        throw_corrupt(ObjectType::key, info.name, "is not a name that a key has");
      }
      auto key = parse_key(info.name, *object);
      listed.foreign = key.vault_id != vault_id;
      if (listed.foreign) {
        listed.problem = Error(Code::refused, "key " + info.name, "is one of vault " + key.vault_id,
                               "move it out of this vault");
      } else {
        listed.key = key.info;
      }
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
      listed.problem = error;
    }
    out.push_back(std::move(listed));
  });
  return out;
}

std::vector<CheckedKey> check_keys(const Vault& vault) {
  std::vector<CheckedKey> out;
  bool any = false;
  bool used = vault.opened_by().empty();
  for (const auto& key : list_keys(vault.store(), vault.id())) {
    any = any || key.key || (key.problem && key.problem->code() == Code::unsupported);
    used = used || key.id == vault.opened_by();
    out.push_back({key_name(key.id), key.foreign ? std::nullopt : key.problem});
  }
  if (!used) {
    auto name = key_name(vault.opened_by());
    out.push_back({name, Error(Code::not_found, name, "is missing: it opened the vault just now",
                               "add it again: lifeboat key add, with the recovery sheet")});
  } else if (vault.encrypted() && !any) {
    auto name = std::string(kKeyPrefix);
    out.push_back({name, Error(Code::not_found, name,
                               "there is no key any more that can be read: only the recovery sheet "
                               "opens this vault",
                               "lifeboat key import")});
  }
  return out;
}

Unlocked unlock(store::ObjectStore& store, const std::string& vault_id,
                const KeyMaterial& material) {
  if (material.kind == KeyMaterial::Kind::vault_key) return {material.secret.copy(), ""};
  auto keys = list_keys(store, vault_id);
  for (const auto& one : keys) {
    if (!one.key || !fits(one.key->kind, material)) continue;
    auto name = key_name(one.id);
    auto object = store.get(name);
    if (!object) continue;
    if (auto vault_key = unwrap(parse_key(name, *object), material)) {
      return {std::move(*vault_key), one.id};
    }
  }
  throw none_opens(keys, material);
}

KeyInfo add_key(store::ObjectStore& store, const Sealing& sealing, const KeyMaterial& material,
                const std::string& label, Clock& clock, const ScryptCost& cost) {
  if (material.kind == KeyMaterial::Kind::vault_key) {
    throw Error(Code::usage, material.from, "is the vault's key itself, not a way to wrap it",
                "give a passphrase or a key file");
  }
  if (label.size() > kMostLabel) {
    throw Error(Code::usage, "the key's label", "is longer than 200 bytes", "give a shorter one");
  }
  bool passphrase = material.kind == KeyMaterial::Kind::passphrase;
  char chance[kIdDigits / 2];
  fill_with_chance(chance, sizeof chance);
  WrappedKey key;
  key.info = {to_hex({chance, sizeof chance}), passphrase ? KeyKind::passphrase : KeyKind::file,
              clock.now(), label};
  key.vault_id = sealing.vault_id();
  key.cost = passphrase ? cost : ScryptCost{0, 0, 0};
  key.salt.resize(kWrapSalt);
  fill_with_chance(key.salt.data(), key.salt.size());
  key.authenticated = encode(key);
  key.wrapped.resize(kWrapped);
  const std::string_view pieces[] = {sealing.vault_key().view()};
  gcm_seal(wrapping_key(key, material).view(), Nonce{}, aad_of(key), pieces, key.wrapped.data());

  auto name = key_name(key.info.id);
  auto object = frame(ObjectType::key, name, key.authenticated + key.wrapped);
  if (store.put_if_absent(name, object) == store::PutResult::exists && store.get(name) != object) {
    throw Error(Code::conflict, "key " + name, "exists already", "try again");
  }
  return key.info;
}

void remove_key(store::ObjectStore& store, const std::string& vault_id, const std::string& id) {
  auto keys = list_keys(store, vault_id);
  std::size_t others = 0;
  bool there = false;
  for (const auto& one : keys) {
    there = there || one.id == id;
    others += one.id != id && one.key ? 1 : 0;
  }
  if (!there) {
    throw Error(Code::not_found, "key " + id, "is not among the vault's: " + describe_keys(keys),
                "lifeboat key ls");
  }
  if (others == 0) {
    throw Error(Code::refused, "key " + id,
                "is the last one: without it nobody could open the vault any more",
                "add another one first: lifeboat key add");
  }
  store.remove(key_name(id));
}

std::string to_text(const KeyMaterial& material) {
  auto hex = to_hex(material.secret.view());
  if (material.kind == KeyMaterial::Kind::vault_key) {
    hex += to_hex(checksum_of(material.secret.view()));
  }
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 4) {
    if (i > 0) out += i % 24 == 0 ? "\n" : " ";
    out += hex.substr(i, 4);
  }
  wipe(hex);
  return out;
}

KeyMaterial parse_key_text(std::string_view text, const std::string& from) {
  auto digits = hex_digits(text);
  auto bytes = digits.size() == 2 * kKeySize || digits.size() == 2 * (kKeySize + kCheckBytes)
                   ? from_hex(digits)
                   : std::nullopt;
  wipe(digits);
  auto refuse = [&](const std::string& what) {
    return Error(Code::config, from, what,
                 "a key file has 64 hex digits (as `lifeboat key add` makes it), a recovery key "
                 "has 72");
  };
  if (!bytes) throw refuse("is neither a key file nor a recovery key");
  Secret secret(bytes->view().substr(0, kKeySize));
  if (bytes->size() == kKeySize) {
    return {KeyMaterial::Kind::file, std::move(secret), "the key file " + from};
  }
  if (!equal_in_constant_time(checksum_of(secret.view()), bytes->view().substr(kKeySize))) {
    throw refuse("is not a recovery key: its checksum does not fit. Is a digit mistyped?");
  }
  return {KeyMaterial::Kind::vault_key, std::move(secret), "the recovery key " + from};
}

}  // namespace lifeboat::vault
