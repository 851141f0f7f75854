#include "vault/prune_word.hpp"

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

// The version is that of before or when it was read, and contents never come back: a swap by it
// replaces what was read, or nothing.
std::optional<ListedWord> read_once(const Vault& vault, const std::string& id) {
  auto name = word_name(id);
  auto info = vault.store().stat(name);
  auto object = info ? vault.store().get(name) : std::nullopt;
  if (!object) return std::nullopt;
  ListedWord out{id, info->version, std::nullopt, ""};
  try {
    out.word = open_word(vault.sealing(), id, std::move(*object));
  } catch (const Error& error) {
    if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
    out.problem = error.what();
  }
  return out;
}

}  // namespace

std::string make_word_id(Clock& clock, Random& random) {
  return compact_time(clock.now()) + "-" + random.hex(16);
}

// One that is damaged names nothing to a backup, and keeps every pruner from deleting: so both must
// see the same, and an answer that was torn on its way is no damage.
std::optional<ListedWord> read_word(const Vault& vault, const std::string& id) {
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    auto found = read_once(vault, id);
    if (!found || found->word || tries == kTries) return found;
  }
}

std::vector<ListedWord> list_words(const Vault& vault) {
  std::vector<ListedWord> out;
  for (const auto& name : store::list_twice(vault.store(), std::string(kWordPrefix))) {
    if (auto word = read_word(vault, name.substr(kWordPrefix.size())))
      out.push_back(std::move(*word));
  }
  return out;
}

void write_word(const Vault& vault, const PruneWord& word) {
  auto name = word_name(word.id);
  auto payload = encode(word);
  auto object = seal(vault.sealing(), ObjectType::word, name, payload);
  if (vault.store().put_if_absent(name, object) == store::PutResult::exists &&
      !holds(vault, ObjectType::word, name, payload)) {
    throw Error(Code::conflict, "word " + name, "was written by somebody else",
                "run lifeboat prune again");
  }
}

bool replace_word(const Vault& vault, const ListedWord& seen, const PruneWord& word) {
  auto name = word_name(word.id);
  auto object = seal(vault.sealing(), ObjectType::word, name, encode(word));
  return swap_object(vault, name, object, seen.version) == store::PutResult::written;
}

void remove_word(const Vault& vault, const std::string& id) {
  vault.store().remove(word_name(id));
}

std::set<std::string> condemned_packs(const Vault& vault, const std::string& except) {
  std::set<std::string> out;
  bool all = false;
  for (const auto& listed : list_words(vault)) {
    if (listed.id == except) continue;
    if (listed.word) out.insert(listed.word->packs.begin(), listed.word->packs.end());
    all = all || !listed.word;
  }
  if (all) {
    vault.store().list("packs/", [&](const store::ObjectInfo& info) { out.insert(info.name); });
  }
  return out;
}

OtherWords other_words(const Vault& vault, const std::string& except) {
  OtherWords out;
  for (const auto& listed : list_words(vault)) {
    if (listed.id == except) continue;
    out.known = out.known && listed.word.has_value();
    if (!listed.word) continue;
    out.points.insert(listed.word->points.begin(), listed.word->points.end());
  }
  return out;
}

PrunedLogs condemned_logs(const Vault& vault) {
  PrunedLogs out;
  for (const auto& listed : list_words(vault)) {
    if (listed.word) out.narrow(listed.word->logs);
  }
  return out;
}

PrunedLogs decided_logs(const Vault& vault) {
  PrunedLogs out;
  for (const auto& listed : list_words(vault)) {
    if (listed.word && listed.word->decided) out.narrow(listed.word->logs);
  }
  return out;
}

}  // namespace lifeboat::vault
