#include "vault/prune_word.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "vault/object.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

const std::string kPrefix = "prune/";

std::string encode(const PruneWord& word) {
  nlohmann::json json = {
      {"id", word.id},           {"created", to_string(word.created)}, {"host", word.host},
      {"packs", word.packs},     {"snapshots", word.snapshots},        {"points", word.points},
      {"outside", word.outside}, {"bytes", word.bytes.value}};
  if (!word.logs.empty()) json["logs"] = to_json(word.logs);
  if (word.window) {
    json["window"] = {{"point", word.window->point}, {"created", to_string(word.window->created)}};
  }
  if (word.suspects) {
    json["since"] = to_string(word.suspects->since);
    json["suspects"] = word.suspects->points;
  }
  if (word.decided) json["decided"] = true;
  return dump_json(json, "word " + word.id);
}

Timestamp time_of(const std::string& name, const nlohmann::json& text) {
  auto time = parse_timestamp(text.get<std::string>());
  if (!time) throw_corrupt(ObjectType::word, name, "has a time that is none");
  return *time;
}

std::vector<std::string> names_of(const nlohmann::json& json) {
  return json.get<std::vector<std::string>>();
}

// Only these are ever deleted by a word, whatever it says.
void check_names(const std::string& name, const std::vector<std::string>& names,
                 const std::string& prefix) {
  for (const auto& one : names) {
    if (one.starts_with(prefix) && store::valid_name(one)) continue;
    throw_corrupt(ObjectType::word, name, "names " + one + ", which is none of " + prefix);
  }
}

PruneWord decode(const Vault& vault, const std::string& id, std::string object) {
  auto name = word_name(id);
  auto opened = unseal(vault.sealing(), ObjectType::word, name, object);
  auto json = parse_json(ObjectType::word, name, opened.payload);
  return read_members(ObjectType::word, name, [&] {
    PruneWord word;
    word.id = json.at("id").get<std::string>();
    word.created = time_of(name, json.at("created"));
    word.host = json.at("host").get<std::string>();
    word.packs = names_of(json.at("packs"));
    word.snapshots = names_of(json.at("snapshots"));
    word.points = names_of(json.value("points", nlohmann::json::array()));  // old ones say none
    word.outside = names_of(json.at("outside"));
    word.bytes = ByteCount(json.at("bytes").get<std::uint64_t>());
    if (json.contains("logs")) {
      word.logs = pruned_from_json(ObjectType::word, name, json.at("logs"));
    }
    if (json.contains("window")) {
      const auto& window = json.at("window");
      word.window = {time_of(name, window.at("created")), window.at("point").get<std::string>()};
    }
    if (json.contains("since")) {
      word.suspects = {time_of(name, json.at("since")), names_of(json.at("suspects"))};
    }
    word.decided = json.value("decided", false);
    if (word.id != id) throw_corrupt(ObjectType::word, name, "says it is " + word.id);
    check_names(name, word.packs, "packs/");
    check_names(name, word.snapshots, "snapshots/");
    check_names(name, word.points, "points/");
    return word;
  });
}

// The version is that of before or when it was read, and contents never come back: a swap by it
// replaces what was read, or nothing.
std::optional<ListedWord> read_once(const Vault& vault, const std::string& id) {
  auto name = word_name(id);
  auto info = vault.store().stat(name);
  auto object = info ? vault.store().get(name) : std::nullopt;
  if (!object) return std::nullopt;
  ListedWord out{id, info->version, std::nullopt, ""};
  try {
    out.word = decode(vault, id, std::move(*object));
  } catch (const Error& error) {
    if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
    out.problem = error.what();
  }
  return out;
}

}  // namespace

std::string word_name(const std::string& id) {
  return kPrefix + id;
}

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
  for (const auto& name : store::list_twice(vault.store(), kPrefix)) {
    if (auto word = read_word(vault, name.substr(kPrefix.size()))) out.push_back(std::move(*word));
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
