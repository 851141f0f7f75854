#include "recovery/clickhouse_document.hpp"

#include "base/error.hpp"

namespace lifeboat::recovery {

nlohmann::json to_json(const ClickHouseDocument& d) {
  nlohmann::json out = {{"snapshot", d.snapshot.hex()}, {"disk", d.disk},
                        {"backup", d.backup},           {"exact", d.cut.exact},
                        {"cut", to_json(d.cut.cut)},    {"cluster_id", d.cut.cluster_id},
                        {"topic_ids", d.cut.topic_ids}, {"held_seconds", d.held_seconds}};
  if (!d.cut.exact) out["upper"] = to_json(d.cut.upper);
  return out;
}

ClickHouseDocument clickhouse_document_from_json(const nlohmann::json& json) {
  try {
    ClickHouseDocument out;
    auto id = vault::SnapshotId::parse(json.at("snapshot").get<std::string>());
    if (!id) throw Error(Code::corrupt, "ClickHouse's part of a point", "has no snapshot's id");
    out.snapshot = *id;
    json.at("disk").get_to(out.disk);
    json.at("backup").get_to(out.backup);
    json.at("exact").get_to(out.cut.exact);
    out.cut.cut = group_offsets_from_json(json.at("cut"));
    if (!out.cut.exact) out.cut.upper = group_offsets_from_json(json.at("upper"));
    json.at("cluster_id").get_to(out.cut.cluster_id);
    json.at("topic_ids").get_to(out.cut.topic_ids);
    json.at("held_seconds").get_to(out.held_seconds);
    return out;
  } catch (const nlohmann::json::exception& e) {
    throw Error(Code::corrupt, "ClickHouse's part of a point", e.what());
  }
}

std::string encode(const SavedFile& file) {
  nlohmann::json line = {
      {"name", file.name}, {"size", file.size.value}, {"sha256", file.sha256.hex()}};
  return line.dump() + "\n";
}

SavedFile decode_saved_file(std::string_view line) {
  try {
    auto json = nlohmann::json::parse(line);
    auto digest = Digest::parse(json.at("sha256").get<std::string>());
    std::string name = json.at("name");
    if (digest && !name.empty() && name.front() != '/' &&
        ("/" + name + "/").find("/../") == std::string::npos) {
      return {name, ByteCount(json.at("size").get<std::uint64_t>()), *digest};
    }
  } catch (const nlohmann::json::exception&) {
  }
  throw Error(Code::corrupt, "list of ClickHouse's backup files", "has an unreadable line");
}

}  // namespace lifeboat::recovery
