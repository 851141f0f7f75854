#include "vault/pin_format.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

Pin pin_of(const std::string& name, const nlohmann::json& json) {
  Pin pin;
  pin.id = json.at("id").get<std::string>();
  pin.point = point_from_json(ObjectType::pin, name, json.at("point"));
  pin.follows = json.at("follows").get<bool>();
  pin.created = time_of(ObjectType::pin, name, json.at("created"));
  pin.host = json.at("host").get<std::string>();
  pin.folder = json.at("folder").get<std::string>();
  pin.process = json.at("process").get<std::int64_t>();
  pin.plan = json.at("plan").get<std::string>();
  if (json.contains("renewed")) {
    pin.renewed = time_of(ObjectType::pin, name, json.at("renewed"));
    pin.beats = json.at("beats").get<std::uint64_t>();
  }
  if (json.contains("revoked")) {
    pin.revoked = time_of(ObjectType::pin, name, json.at("revoked"));
    pin.why = json.at("why").get<std::string>();
  }
  return pin;
}

}  // namespace

std::string pin_name(const std::string& id) {
  return "pins/" + id;
}

std::string encode(const Pin& pin) {
  nlohmann::json json = {{"id", pin.id},           {"point", to_json(pin.point)},
                         {"follows", pin.follows}, {"created", to_string(pin.created)},
                         {"host", pin.host},       {"folder", pin.folder},
                         {"process", pin.process}, {"plan", pin.plan}};
  if (pin.renewed) {
    json["renewed"] = to_string(*pin.renewed);
    json["beats"] = pin.beats;
  }
  if (pin.revoked) {
    json["revoked"] = to_string(*pin.revoked);
    json["why"] = pin.why;
  }
  return dump_json(json, "pin " + pin.id);
}

Pin open_pin(const Sealing* sealing, const std::string& id, std::string object) {
  const auto name = pin_name(id);
  auto opened = unseal(sealing, ObjectType::pin, name, object);
  auto json = parse_json(ObjectType::pin, name, opened.payload);
  return read_members(ObjectType::pin, name, [&] {
    auto pin = pin_of(name, json);
    if (pin.id != id) throw_corrupt(ObjectType::pin, name, "says it is " + pin.id);
    return pin;
  });
}

std::string describe(const Pin& pin) {
  if (pin.revoked) {
    return fmt::format("was being restored by {} until {}: {}", pin.host, to_string(*pin.revoked),
                       pin.why);
  }
  return fmt::format("is being restored by {} (process {}) since {}, last sign of life at {}",
                     pin.host, pin.process, to_string(pin.created), to_string(pin.alive_at()));
}

}  // namespace lifeboat::vault
