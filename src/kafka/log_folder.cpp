#include "kafka/log_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "kafka/checkpoint_file.hpp"

namespace lifeboat::kafka {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEpochAt = 12;
constexpr const char* kMetadataFile = "partition.metadata";
constexpr const char* kLogStarts = "log-start-offset-checkpoint";

void give_to(const fs::path& path, FolderOwner owner) {
  const auto now = owner_of(path);
  if (now.user == owner.user && now.group == owner.group) return;
  if (::chown(path.c_str(), owner.user, owner.group) != 0) {
    throw system_error(errno, path.string(), "cannot be given to the broker's user");
  }
}

std::vector<CheckpointLine> read_checkpoint(const fs::path& path) {
  return parse_checkpoint(read_file(path, ByteCount(256u << 20)).value_or(""), path.string());
}

void write_checkpoint(const fs::path& path, const std::vector<CheckpointLine>& lines) {
  const auto owner = owner_of(path.parent_path());
  write_file_durably(path, encode(lines), 0644);
  give_to(path, owner);
}

std::string topic_id_in(const fs::path& folder) {
  const auto text = read_file(folder / kMetadataFile, ByteCount(4096));
  if (!text) return {};
  const auto at = text->find("topic_id: ");
  return at == std::string::npos ? std::string() : text->substr(at + 10, 22);
}

void append_varint_byte(std::string& out, int small) {
  out.push_back(static_cast<char>(small << 1));  // zigzag, for -64 to 63
}

template <std::integral T>
void put(std::string& bytes, std::size_t at, T value) {
  value = to_big_endian(value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace

FolderOwner owner_of(const fs::path& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) throw system_error(errno, path.string(), "cannot be read");
  return {s.st_uid, s.st_gid};
}

bool log_dir_in_use(const fs::path& log_dir) {
  const auto path = log_dir / ".lock";
  if (!fs::exists(path)) return false;
  const auto file = open_file(path, O_RDWR);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_GETLK, &lock) != 0) {
    throw system_error(errno, path.string(), "cannot look at its lock");
  }
  return lock.l_type != F_UNLCK;
}

std::optional<fs::path> find_partition_folder(const std::vector<fs::path>& log_dirs,
                                              const TopicPartition& partition,
                                              const std::string& topic_id) {
  for (const auto& log_dir : log_dirs) {
    const auto folder = log_dir / fmt::format("{}-{}", partition.topic, partition.partition.value);
    const auto found = topic_id_in(folder);
    if (found.empty()) continue;
    if (found == topic_id) return folder;
    throw Error(Code::conflict, folder.string(),
                fmt::format("belongs to topic id {}, not to {}", found, topic_id),
                "name the log.dirs of the new cluster's brokers in lifeboat.yaml");
  }
  return std::nullopt;
}

void forget_partitions(const fs::path& log_dir,
                       const std::map<TopicPartition, Offset>& log_starts) {
  for (const char* name : {"recovery-point-offset-checkpoint", "replication-offset-checkpoint",
                           "cleaner-offset-checkpoint", kLogStarts}) {
    const auto path = log_dir / name;
    auto lines = read_checkpoint(path);
    const auto before = lines.size();
    std::erase_if(lines, [&](const auto& line) { return log_starts.contains(line.partition); });
    if (name == std::string_view(kLogStarts)) {
      for (const auto& [tp, start] : log_starts) {
        if (start > Offset(0)) lines.push_back({tp, start});
      }
    } else if (lines.size() == before) {
      continue;
    }
    write_checkpoint(path, lines);
  }
  std::error_code ignored;  // it is not there after a crash
  fs::remove(log_dir / ".kafka_cleanshutdown", ignored);
  sync_directory(log_dir);
}

SegmentWriter::SegmentWriter(fs::path folder, Offset start, ByteCount most)
    : folder_(std::move(folder)), start_(start), most_(most), owner_(owner_of(folder_)) {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().filename() != kMetadataFile) fs::remove_all(entry.path());
  }
}

void SegmentWriter::append(Offset base, Offset next, std::string_view batches) {
  if (!file_) roll(next - std::min(start_, base) > INT32_MAX ? base : std::min(start_, base));
  if (size_ + batches.size() > most_.value || next - base_ > INT32_MAX) {
    if (size_ > 0) roll(base);
  }
  write_all(file_.get(), batches, (folder_ / name_).string());
  size_ += batches.size();
  written_ = written_ + batches.size();
}

void SegmentWriter::roll(Offset base) {
  if (file_) sync_file(file_.get(), (folder_ / name_).string());
  name_ = fmt::format("{:020}.log", base.value);
  file_ = open_file(folder_ / name_, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  give_to(folder_ / name_, owner_);
  base_ = base;
  size_ = 0;
}

void SegmentWriter::finish() {
  if (file_) sync_file(file_.get(), (folder_ / name_).string());
  file_.reset();
  sync_directory(folder_);
}

void set_leader_epoch(std::string& batches, std::size_t at, LeaderEpoch epoch) {
  put(batches, at + kEpochAt, epoch.value);
}

bool equal_but_epoch(std::string_view batch, std::string_view other) {
  constexpr auto after = kEpochAt + sizeof(std::int32_t);
  return batch.size() == other.size() && batch.size() > after &&
         batch.substr(0, kEpochAt) == other.substr(0, kEpochAt) &&
         batch.substr(after) == other.substr(after);
}

std::string transaction_end(Marker marker, Offset at, ProducerStamp producer, Timestamp time) {
  // One record: attributes, time and offset deltas 0, key of version and type, value of version and
  // coordinator epoch, no headers (ControlRecordType, EndTransactionMarker).
  std::string record(1, '\0');
  append_varint_byte(record, 0);
  append_varint_byte(record, 0);
  append_varint_byte(record, 4);
  append_be<std::int16_t>(record, 0);
  append_be<std::int16_t>(record, static_cast<std::int16_t>(marker));
  append_varint_byte(record, 6);
  append_be<std::int16_t>(record, 0);
  append_be<std::int32_t>(record, 0);
  append_varint_byte(record, 0);

  std::string checked;                     // what the CRC covers
  append_be<std::int16_t>(checked, 0x30);  // transactional, control
  append_be<std::int32_t>(checked, 0);     // last offset delta
  append_be<std::int64_t>(checked, time.value);
  append_be<std::int64_t>(checked, time.value);
  append_be<std::int64_t>(checked, producer.id);
  append_be<std::int16_t>(checked, producer.epoch);
  append_be<std::int32_t>(checked, -1);
  append_be<std::int32_t>(checked, 1);
  append_varint_byte(checked, static_cast<int>(record.size()));
  checked += record;

  std::string batch;
  append_be<std::int64_t>(batch, at.value);
  append_be<std::int32_t>(batch, static_cast<std::int32_t>(4 + 1 + 4 + checked.size()));
  append_be<std::int32_t>(batch, 0);  // leader epoch
  append_be<std::int8_t>(batch, 2);   // magic
  append_be<std::uint32_t>(batch, crc32c(checked));
  return batch + checked;
}

}  // namespace lifeboat::kafka
