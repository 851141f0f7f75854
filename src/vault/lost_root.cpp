#include "vault/lost_root.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "vault/container.hpp"
#include "vault/damage.hpp"
#include "vault/keys.hpp"
#include "vault/sealing.hpp"

namespace lifeboat::vault {
namespace {

// What only a vault that was made has; where few names are, first.
struct Content {
  const char* prefix;
  ObjectType type;
};
constexpr Content kContent[] = {
    {"points/", ObjectType::point},       {"pins/", ObjectType::pin},
    {"prune/", ObjectType::word},         {"pruned/", ObjectType::pruned},
    {"proofs/", ObjectType::proof},       {"index/", ObjectType::summary},
    {"snapshots/", ObjectType::snapshot}, {"packs/", ObjectType::pack},
    {"logbook/", ObjectType::logbook},
};

std::optional<std::string> some_content(store::ObjectStore& store) {
  std::optional<std::string> found;
  for (const auto& content : kContent) {
    store.list(content.prefix, [&](const store::ObjectInfo& info) {
      if (!found) found = info.name;
    });
    if (found) break;
  }
  return found;
}

// Objects that tell whose they are. Several of each type: some may be damaged.
struct Sample {
  ObjectType type;
  std::string name;
};
constexpr std::size_t kSamples = 8;

std::vector<Sample> samples_of(store::ObjectStore& store) {
  std::vector<Sample> out;
  for (const auto& content : kContent) {
    std::size_t taken = 0;
    store.list(content.prefix, [&](const store::ObjectInfo& info) {
      if (taken++ < kSamples) out.push_back({content.type, info.name});
    });
  }
  return out;
}

// Whether `look` finds it whole.
template <typename Look>
bool is_good(Look&& look) {
  try {
    return look();
  } catch (const Error& error) {
    if (!is_damage(error.code())) throw;
    return false;
  }
}

bool is_sealed(store::ObjectStore& store, const Sample& sample) {
  auto header = store.get_range(sample.name, ByteCount(0), ByteCount(kHeaderSize));
  return header && is_good([&] {
           return (parse_header(sample.type, sample.name, *header).flags & kSealed) != 0;
         });
}

// By this key; nullptr: as a plain one.
bool opens(store::ObjectStore& store, const Sealing* sealing, const Sample& sample) {
  constexpr std::uint8_t kAnyFlag = 0x7f;
  auto bytes = store.get(sample.name);
  return bytes && is_good([&] {
           if (sample.type == ObjectType::pack || sample.type == ObjectType::logbook) {
             open_container(sealing, sample.type, sample.name, *bytes, kAnyFlag);
           } else {
             unseal(sealing, sample.type, sample.name, *bytes);
           }
           return true;
         });
}

bool any_opens(store::ObjectStore& store, const Sealing* sealing,
               const std::vector<Sample>& samples) {
  for (const auto& sample : samples) {
    if (opens(store, sealing, sample)) return true;
  }
  return false;
}

// The vaults that the keys here are of, each with the time of its oldest.
std::map<std::string, Timestamp> vaults_of_keys(store::ObjectStore& store) {
  std::map<std::string, Timestamp> out;
  store.list(std::string(kKeyPrefix), [&](const store::ObjectInfo& info) {
    is_good([&] {
      auto object = store.get(info.name);
      if (!object) return false;
      auto key = parse_key(info.name, *object);
      auto [at, is_new] = out.emplace(key.vault_id, key.info.created);
      at->second = std::min(at->second, key.info.created);
      return true;
    });
  });
  return out;
}

std::optional<Secret> unlocked(store::ObjectStore& store, const std::string& vault_id,
                               const KeyMaterial& key) {
  try {
    return std::move(unlock(store, vault_id, key).vault_key);
  } catch (const Error& error) {
    if (error.code() != Code::denied && !is_damage(error.code())) throw;
    return std::nullopt;
  }
}

void recover_encrypted(store::ObjectStore& store, const KeyMaterial& key,
                       const std::vector<Sample>& samples) {
  const auto vaults = vaults_of_keys(store);
  for (const auto& [id, created] : vaults) {
    auto vault_key = unlocked(store, id, key);
    if (!vault_key) continue;
    const Sealing sealing(std::move(*vault_key), id);
    if (!any_opens(store, &sealing, samples)) continue;
    return Vault::write_root(store, id, created, &sealing);
  }
  if (vaults.empty()) {
    throw Error(
        Code::denied, store.describe(),
        "has no key that can be read, and so nothing that says the vault's id",
        "copy one of the objects `keys/…` back from a replica, or an earlier version of it; "
        "if the vault always was plain, remove vault_key from lifeboat.yaml");
  }
  throw Error(Code::denied, store.describe(), key.from + " does not open what is there",
              "name another key as vault_key in lifeboat.yaml; the digits of the recovery sheet in "
              "a file do: {key_file: …}");
}

void recover_plain(store::ObjectStore& store, Clock& clock, Random& random,
                   const std::vector<Sample>& samples) {
  bool sealed = !vaults_of_keys(store).empty();
  for (const auto& sample : samples) sealed = sealed || is_sealed(store, sample);
  if (sealed) {
    throw Error(Code::denied, store.describe(), "holds an encrypted vault, and no key is given",
                "name its passphrase or key file as vault_key in lifeboat.yaml");
  }
  if (!any_opens(store, nullptr, samples)) {
    throw Error(Code::corrupt, store.describe(), "holds nothing that can be read as a vault's",
                "copy the whole vault back from a replica");
  }
  Vault::write_root(store, random.hex(32), clock.now(), nullptr);
}

}  // namespace

// Content is looked for first: what is there then was written after the root of its vault.
void require_root_not_lost(store::ObjectStore& store) {
  const auto content = some_content(store);
  if (!content || store.stat(kRootName)) return;
  throw Error(Code::corrupt, store.describe(),
              "its root object `vault` is lost, while what the vault holds is there (" + *content +
                  ", …). The root says which vault this is, and whether it is encrypted; no data "
                  "lies in it",
              "make no other vault here, it could not read what is there. Copy `vault` back from a "
              "replica, or bring its earlier version back where the bucket keeps versions; else "
              "`lifeboat init --recover-root` writes it anew from what is there");
}

Vault recover_root(store::ObjectStore& store, Clock& clock, Random& random,
                   const KeyMaterial* key) {
  if (Vault::exists(store)) {
    throw Error(Code::refused, store.describe(), "has its root object: none is lost",
                "lifeboat check; one that is damaged is moved out of the vault first, and kept");
  }
  const auto samples = samples_of(store);
  if (samples.empty()) {
    throw Error(Code::not_found, store.describe(), "holds nothing of a vault",
                "correct the path, or make a vault with lifeboat init");
  }
  if (key != nullptr) {
    recover_encrypted(store, *key, samples);
  } else {
    recover_plain(store, clock, random, samples);
  }
  return Vault::open(store, key);
}

}  // namespace lifeboat::vault
