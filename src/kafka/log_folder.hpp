#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "kafka/record_batch.hpp"
#include "kafka/types.hpp"

namespace lifeboat::kafka {

// A stopped broker's log.dirs, as Kafka 3.x and 4.x lay them out (read in its source: LogManager,
// UnifiedLog, PartitionMetadataFile, CheckpointFile; tried: docs/facts-kafka.md).

struct FolderOwner {
  uid_t user;
  gid_t group;
};
FolderOwner owner_of(const std::filesystem::path& path);

// A broker runs on it: it holds the lock of the file .lock.
bool log_dir_in_use(const std::filesystem::path& log_dir);

// The partition's folder in one of the log dirs, with this topic id in its partition.metadata.
// nullopt: in none of them. Error(conflict) when it is there and belongs to another topic.
std::optional<std::filesystem::path> find_partition_folder(
    const std::vector<std::filesystem::path>& log_dirs, const TopicPartition& partition,
    const std::string& topic_id);

// Takes out of the log dir what its broker remembers of these partitions beside their folders, and
// its mark of a clean shutdown: at its next start it looks through these logs and builds indexes,
// leader epochs and the state of producers anew. `log_starts`: where each log is to start.
void forget_partitions(const std::filesystem::path& log_dir,
                       const std::map<TopicPartition, Offset>& log_starts);

// Writes a partition's segments: <20 digits of the first offset>.log, each below `most` bytes and
// 2^31 offsets. The first one is named after `start`, where the log starts, if no batch lies
// before: compaction may have taken the first ones. Begins by removing what the folder holds but
// partition.metadata. Files get the folder's owner.
class SegmentWriter {
 public:
  SegmentWriter(std::filesystem::path folder, Offset start, ByteCount most = ByteCount(1u << 30));
  // Whole batches of [base, next), as they are to lie there.
  void append(Offset base, Offset next, std::string_view batches);
  void finish();  // durable
  ByteCount written() const { return written_; }

 private:
  void roll(Offset base);

  std::filesystem::path folder_;
  Offset start_;
  ByteCount most_;
  FolderOwner owner_;
  Fd file_;
  std::string name_;
  Offset base_{-1};
  std::uint64_t size_ = 0;
  ByteCount written_;
};

// The leader epoch lies outside of what the CRC covers. All batches of a seeded log get epoch 0: a
// broker that finds later ones than its cluster knows throws its history of epochs away.
void set_leader_epoch(std::string& batches, std::size_t at, LeaderEpoch epoch);
bool equal_but_epoch(std::string_view batch, std::string_view other);

// A control batch that ends a producer's transaction.
std::string transaction_end(Marker marker, Offset at, ProducerStamp producer, Timestamp time);

}  // namespace lifeboat::kafka
