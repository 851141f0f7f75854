#include "postgres/control_file.hpp"

#include <bit>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

namespace lifeboat::postgres {

namespace {

// ControlFileData of src/include/catalog/pg_control.h, version 1300, on a 64-bit machine.
constexpr std::uint32_t kVersion = 1300;
constexpr std::size_t kVersionAt = 8, kStateAt = 16, kCheckpointAt = 32, kRedoAt = 40,
                      kTimelineAt = 48, kPageSizeAt = 216, kSegmentPagesAt = 220,
                      kSegmentSizeAt = 228, kChecksumsAt = 252, kCrcAt = 288;
constexpr std::uint32_t kLeastPage = 1024, kLargestPage = 32768;  // BLCKSZ
constexpr std::uint32_t kShutDown = 1, kShutDownInRecovery = 2;

}  // namespace

ControlFile parse_control(std::string bytes, const std::string& subject) {
  if (bytes.size() < kCrcAt + 4) throw Error(Code::corrupt, subject, "too short");
  const char* at = bytes.data();
  if (const auto version = load_le<std::uint32_t>(at + kVersionAt); version != kVersion) {
    throw Error(Code::unsupported, subject,
                fmt::format("version {} of the control file is not known", version));
  }
  if (crc32c(std::string_view(bytes).substr(0, kCrcAt)) != load_le<std::uint32_t>(at + kCrcAt)) {
    throw Error(Code::corrupt, subject, "its checksum is wrong");
  }
  ControlFile control;
  control.system_identifier = load_le<std::uint64_t>(at);
  const auto state = load_le<std::uint32_t>(at + kStateAt);
  control.shut_down = state == kShutDown || state == kShutDownInRecovery;
  control.checkpoint = Lsn(load_le<std::uint64_t>(at + kCheckpointAt));
  control.redo = Lsn(load_le<std::uint64_t>(at + kRedoAt));
  control.timeline = TimelineId(load_le<std::uint32_t>(at + kTimelineAt));
  control.page_size = load_le<std::uint32_t>(at + kPageSizeAt);
  control.pages_a_segment = load_le<std::uint32_t>(at + kSegmentPagesAt);
  if (!std::has_single_bit(control.page_size) || control.page_size < kLeastPage ||
      control.page_size > kLargestPage) {
    throw Error(Code::corrupt, subject,
                fmt::format("pages of {} bytes cannot be", control.page_size));
  }
  control.wal_segment_size = ByteCount(load_le<std::uint32_t>(at + kSegmentSizeAt));
  control.data_checksums = load_le<std::uint32_t>(at + kChecksumsAt) != 0;
  control.bytes = std::move(bytes);
  return control;
}

ControlFile read_control(const std::filesystem::path& directory) {
  const auto path = directory / "global" / "pg_control";
  auto bytes = read_file(path, ByteCount(64 << 10));
  if (!bytes) {
    throw Error(Code::not_found, path.string(), "there is no cluster in this directory");
  }
  return parse_control(*std::move(bytes), path.string());
}

}  // namespace lifeboat::postgres
