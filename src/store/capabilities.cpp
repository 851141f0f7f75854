#include "store/capabilities.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/checksum.hpp"

namespace lifeboat::store {

std::string encode(const Capabilities& c) {
  nlohmann::json record{{"put_if_absent", c.put_if_absent},
                        {"put_if_unchanged", c.put_if_unchanged},
                        {"what", c.what}};
  record["crc32c"] = fmt::format("{:08x}", crc32c(record.dump()));
  return record.dump();
}

std::optional<Capabilities> parse_capabilities(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    const Capabilities found{json.at("put_if_absent").get<bool>(),
                             json.at("put_if_unchanged").get<bool>(), json.value("what", "")};
    // A no stands, whoever wrote it; a yes only byte for byte as it was written.
    if (found.several_writers() && text != encode(found)) return std::nullopt;
    return found;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace lifeboat::store
