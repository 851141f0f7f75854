#include "recovery/group_offsets.hpp"

#include "base/error.hpp"

namespace lifeboat::recovery {

nlohmann::json to_json(const GroupOffsets& groups) {
  auto out = nlohmann::json::object();
  for (const auto& [group, offsets] : groups) {
    auto rows = nlohmann::json::array();
    for (const auto& [tp, offset] : offsets) {
      rows.push_back({tp.topic, tp.partition.value, offset.value});
    }
    out[group] = std::move(rows);
  }
  return out;
}

GroupOffsets group_offsets_from_json(const nlohmann::json& json) {
  try {
    GroupOffsets out;
    for (const auto& [group, rows] : json.items()) {
      auto& offsets = out[group];
      for (const auto& row : rows) {
        kafka::TopicPartition tp{row.at(0).get<std::string>(),
                                 PartitionId(row.at(1).get<std::int32_t>())};
        offsets[tp] = Offset(row.at(2).get<std::int64_t>());
      }
    }
    return out;
  } catch (const nlohmann::json::exception& e) {
    throw Error(Code::corrupt, "offsets of consumer groups", e.what());
  }
}

}  // namespace lifeboat::recovery
