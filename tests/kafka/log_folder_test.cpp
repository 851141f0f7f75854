#include "kafka/log_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.hpp"
#include "kafka/captured_batches.hpp"

namespace lifeboat::kafka::test {
namespace {

namespace fs = std::filesystem;

class LogFolder : public testing::Test {
 protected:
  fs::path dir =
      fs::path(testing::TempDir()) /
      ("log-folder-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  void SetUp() override {
    fs::remove_all(dir);
    fs::create_directories(dir);
  }
  void TearDown() override { fs::remove_all(dir); }

  void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  std::string read(const fs::path& path) { return read_file(path).value_or("(none)"); }
};

TEST_F(LogFolder, ATransactionEndIsABatchThatReadsAsSuch) {
  for (const Marker marker : {Marker::abort, Marker::commit}) {
    const auto bytes = transaction_end(marker, Offset(77), {9, 3, -1}, Timestamp(1763000000000));
    const auto batch = BatchView::parse(bytes);
    EXPECT_TRUE(batch.is_control());
    EXPECT_TRUE(batch.is_transactional());
    EXPECT_EQ(batch.base_offset(), Offset(77));
    EXPECT_EQ(batch.next_offset(), Offset(78));
    EXPECT_EQ(batch.producer().id, 9);
    EXPECT_EQ(batch.producer().epoch, 3);
    EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(0));
    EXPECT_EQ(transaction_marker(batch), marker);
  }
}

TEST_F(LogFolder, EqualButEpochSeesEveryOtherByte) {
  const auto one = transaction_end(Marker::abort, Offset(7), {9, 3, -1}, Timestamp(1));
  auto other = one;
  set_leader_epoch(other, 0, LeaderEpoch(12));
  EXPECT_NE(one, other);
  EXPECT_TRUE(equal_but_epoch(one, other));
  for (std::size_t at = 0; at < one.size(); ++at) {
    auto damaged = one;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(equal_but_epoch(one, damaged), at >= 12 && at < 16) << at;
  }
  EXPECT_FALSE(equal_but_epoch(one, one.substr(0, one.size() - 1)));
}

TEST_F(LogFolder, SegmentsRollBySizeAndByOffsetsAndReplaceWhatWasThere) {
  write(dir / "partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA\n");
  write(dir / "00000000000000000000.log", "old");
  write(dir / "leader-epoch-checkpoint", "old");
  SegmentWriter writer(dir, Offset(3), ByteCount(10));
  writer.append(Offset(5), Offset(6), "12345");
  writer.append(Offset(6), Offset(7), "67890");
  writer.append(Offset(7), Offset(8), "abc");
  writer.append(Offset(7 + (std::int64_t{1} << 31)), Offset(8 + (std::int64_t{1} << 31)), "d");
  writer.finish();
  EXPECT_EQ(read(dir / "00000000000000000003.log"), "1234567890");
  EXPECT_EQ(read(dir / "00000000000000000007.log"), "abc");
  EXPECT_EQ(read(dir / "00000000002147483655.log"), "d");
  EXPECT_FALSE(fs::exists(dir / "00000000000000000000.log"));
  EXPECT_FALSE(fs::exists(dir / "leader-epoch-checkpoint"));
  EXPECT_TRUE(fs::exists(dir / "partition.metadata"));
}

TEST_F(LogFolder, OnlyThePartitionsNamedAreForgotten) {
  write(dir / "recovery-point-offset-checkpoint", "0\n3\na 0 5\na 1 6\nb 0 7\n");
  write(dir / "log-start-offset-checkpoint", "0\n1\nb 0 2\n");
  write(dir / ".kafka_cleanshutdown", "");
  forget_partitions(dir, {{{"a", PartitionId(0)}, Offset(42)}, {{"b", PartitionId(0)}, Offset(0)}});
  EXPECT_EQ(read(dir / "recovery-point-offset-checkpoint"), "0\n1\na 1 6\n");
  EXPECT_EQ(read(dir / "log-start-offset-checkpoint"), "0\n1\na 0 42\n");
  EXPECT_FALSE(fs::exists(dir / ".kafka_cleanshutdown"));
}

TEST_F(LogFolder, ACheckpointThatIsNoneIsNotWrittenOver) {
  for (const char* text : {"\n", "1\n0\n", "0\n2\na 0 5\n", "0\n1\na x 5\n"}) {
    write(dir / "recovery-point-offset-checkpoint", text);
    EXPECT_THROW(forget_partitions(dir, {{{"a", PartitionId(0)}, Offset(0)}}), Error) << text;
    EXPECT_EQ(read(dir / "recovery-point-offset-checkpoint"), text);
  }
}

TEST_F(LogFolder, AFolderOfAnotherTopicIsRefused) {
  fs::create_directories(dir / "t-0");
  const TopicPartition tp{"t", PartitionId(0)};
  EXPECT_EQ(find_partition_folder({dir}, tp, "AAAAAAAAAAAAAAAAAAAAAA"), std::nullopt);
  write(dir / "t-0/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA\n");
  EXPECT_EQ(find_partition_folder({dir}, tp, "AAAAAAAAAAAAAAAAAAAAAA"), dir / "t-0");
  EXPECT_THROW(find_partition_folder({dir}, tp, "BBBBBBBBBBBBBBBBBBBBBB"), Error);
}

}  // namespace
}  // namespace lifeboat::kafka::test
