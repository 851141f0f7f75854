#include "vault/word_format.hpp"

#include "base/error.hpp"
#include "store/object_store.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

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

PruneWord word_of(const std::string& name, const nlohmann::json& json) {
  PruneWord word;
  word.id = json.at("id").get<std::string>();
  word.created = time_of(ObjectType::word, name, json.at("created"));
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
    word.window = {time_of(ObjectType::word, name, window.at("created")),
                   window.at("point").get<std::string>()};
  }
  if (json.contains("since")) {
    word.suspects = {time_of(ObjectType::word, name, json.at("since")),
                     names_of(json.at("suspects"))};
  }
  word.decided = json.value("decided", false);
  return word;
}

}  // namespace

std::string word_name(const std::string& id) {
  return std::string(kWordPrefix) + id;
}

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

PruneWord open_word(const Sealing* sealing, const std::string& id, std::string object) {
  auto name = word_name(id);
  auto opened = unseal(sealing, ObjectType::word, name, object);
  auto json = parse_json(ObjectType::word, name, opened.payload);
  return read_members(ObjectType::word, name, [&] {
    auto word = word_of(name, json);
    if (word.id != id) throw_corrupt(ObjectType::word, name, "says it is " + word.id);
    check_names(name, word.packs, "packs/");
    check_names(name, word.snapshots, "snapshots/");
    check_names(name, word.points, "points/");
    return word;
  });
}

}  // namespace lifeboat::vault
