#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/cancel.hpp"
#include "recovery/clickhouse_document.hpp"

// The files of ClickHouse's backups, where ClickHouse has written them.
namespace lifeboat::recovery {

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
