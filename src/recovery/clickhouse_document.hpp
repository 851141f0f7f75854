#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/checksum.hpp"
#include "recovery/group_offsets.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {

// The cut: per group and partition, all events below are in the backup and none at or above. When
// not exact, an offset of `cut` may be too low by what lies below `upper`.
struct ClickHouseCut {
  bool exact = true;
  GroupOffsets cut;
  GroupOffsets upper;                            // only when not exact
  std::string cluster_id;                        // of the Kafka that the offsets count in
  std::map<std::string, std::string> topic_ids;  // by topic
};

// What a point keeps of ClickHouse.
struct ClickHouseDocument {
  vault::SnapshotId snapshot;  // schema.json and files.jsonl
  std::string disk;
  std::string backup;  // name of the BACKUP on that disk
  ClickHouseCut cut;
  double held_seconds = 0;  // consumption stood still
};
nlohmann::json to_json(const ClickHouseDocument& document);
ClickHouseDocument clickhouse_document_from_json(const nlohmann::json& json);  // Error(corrupt)

// The backup's files as they were when it was finished.
struct SavedFile {
  std::string name;  // relative to the backup's folder
  ByteCount size;
  Digest sha256;
};
std::string encode(const SavedFile& file);           // one line
SavedFile decode_saved_file(std::string_view line);  // Error(corrupt)

}  // namespace lifeboat::recovery
