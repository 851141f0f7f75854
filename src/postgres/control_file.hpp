#pragma once

#include <filesystem>
#include <string>

#include "base/types.hpp"

namespace lifeboat::postgres {

// global/pg_control of a stopped or running cluster (PostgreSQL 15 and 16 on a 64-bit machine).
struct ControlFile {
  std::uint64_t system_identifier = 0;
  bool shut_down = false;  // cleanly
  Lsn checkpoint;
  Lsn redo;
  TimelineId timeline;
  std::uint32_t page_size = 0;        // bytes
  std::uint32_t pages_a_segment = 0;  // of a relation's files
  ByteCount wal_segment_size;
  bool data_checksums = false;
  std::string bytes;  // the file itself
};

// Checked: checksum; Error(corrupt), unsupported for another version. While a server runs it may be
// met half written, which is corrupt too: read it again.
ControlFile parse_control(std::string bytes, const std::string& subject);
// Error(not_found) when it is not there.
ControlFile read_control(const std::filesystem::path& directory);

}  // namespace lifeboat::postgres
