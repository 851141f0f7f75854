#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vault/object.hpp"

namespace lifeboat::vault {

// "20261122T170506123Z": sorts by time, and is a part of an object's name.
std::string compact_time(Timestamp t);

// JSON as it is stored. Error(failed) when a string in it is not UTF-8.
std::string dump_json(const nlohmann::json& json, const std::string& subject);
// Error(corrupt), naming the object, when it is not a JSON object, or nests too deep.
nlohmann::json parse_json(ObjectType type, const std::string& name, std::string_view text);

// A time as JSON has it. Error(corrupt), naming the object; throws what nlohmann::json throws.
Timestamp time_of(ObjectType type, const std::string& name, const nlohmann::json& text);

// Runs `read` over JSON of the object: a member that is missing or of another type is
// Error(corrupt), naming the object.
template <typename F>
auto read_members(ObjectType type, const std::string& name, F&& read) -> decltype(read()) {
  try {
    return read();
  } catch (const nlohmann::json::exception& error) {
    throw_corrupt(type, name,
                  std::string("does not have the members it must have: ") + error.what());
  }
}

}  // namespace lifeboat::vault
