#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/checksum.hpp"
#include "clickhouse/schema.hpp"
#include "clickhouse/snapshot.hpp"
#include "recovery/context.hpp"
#include "recovery/group_sampler.hpp"
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
Digest sha256_of_file(const std::filesystem::path& path, ByteCount& size,
                      const Cancel& cancel = Cancel());

// Which files' bytes are read; an empty one: none.
using FileChoice = std::function<bool(const SavedFile&)>;
// Compares the files in the place with the list in the vault, their sizes, and the bytes of those
// that are `chosen`, several files at a time on all cores; calls `damaged` for each that differs.
// Memory: 256 KiB for each core.
struct FilesChecked {
  std::uint64_t files = 0;
  ByteCount bytes;  // read
  ByteCount total;  // of all files
};
FilesChecked check_backup_files(
    const vault::SnapshotReader& snapshot, const std::filesystem::path& folder,
    const FileChoice& chosen, const Cancel& cancel,
    const std::function<void(const SavedFile&, const std::string& problem, Code)>& damaged);

}  // namespace lifeboat::recovery
