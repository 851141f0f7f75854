#include "vault/text.hpp"

#include "base/error.hpp"
#include "base/json_depth.hpp"

namespace lifeboat::vault {

std::string compact_time(Timestamp t) {
  std::string out;
  for (char c : to_string(t)) {
    if (c != '-' && c != ':' && c != '.') out += c;
  }
  return out;
}

std::string dump_json(const nlohmann::json& json, const std::string& subject) {
  try {
    return json.dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::failed, subject, std::string("cannot be written as JSON: ") + error.what());
  }
}

nlohmann::json parse_json(ObjectType type, const std::string& name, std::string_view text) {
  if (nests_too_deep(text)) throw_corrupt(type, name, "its content is nested too deep");
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) throw_corrupt(type, name, "its content is not a JSON object");
  return json;
}

Timestamp time_of(ObjectType type, const std::string& name, const nlohmann::json& text) {
  auto time = parse_timestamp(text.get<std::string>());
  if (!time) throw_corrupt(type, name, "has a time that is none");
  return *time;
}

}  // namespace lifeboat::vault
