#include "vault/root_format.hpp"

#include "base/error.hpp"
#include "vault/text.hpp"

namespace lifeboat::vault {
namespace {

const std::string kCipher = "AES-256-GCM";

Root root_of(const nlohmann::json& json) {
  auto created = parse_timestamp(json.at("created").get<std::string>());
  if (!created) throw_corrupt(ObjectType::root, kRootName, "its time of creation is not a time");
  Root root{json.at("id").get<std::string>(), *created, json.contains("cipher"), ""};
  if (!root.encrypted) return root;
  if (json.at("cipher") != kCipher) {
    throw Error(Code::unsupported, "root " + kRootName,
                "is encrypted by " + json.at("cipher").get<std::string>() + ", unknown here",
                "install the Lifeboat that wrote it, or a newer one");
  }
  root.check = json.at("check").get<std::string>();
  return root;
}

}  // namespace

std::string root_object(const Root& root) {
  nlohmann::json json = {{"id", root.id}, {"created", to_string(root.created)}};
  if (root.encrypted) {
    json["cipher"] = kCipher;
    json["check"] = root.check;
  }
  return frame(ObjectType::root, kRootName, dump_json(json, kRootName));
}

Root open_root(std::string_view object) {
  auto opened = unframe(ObjectType::root, kRootName, object);
  if (opened.flags != 0) throw_corrupt(ObjectType::root, kRootName, "has unknown flags");
  auto json = parse_json(ObjectType::root, kRootName, opened.payload);
  return read_members(ObjectType::root, kRootName, [&] { return root_of(json); });
}

std::string checked_part(const Root& root) {
  return root.id + " " + to_string(root.created) + " " + kCipher;
}

}  // namespace lifeboat::vault
