#include "recovery/history.hpp"

#include <gtest/gtest.h>

#include "kafka/captured_batches.hpp"
#include "recovery/extent_attributes.hpp"
#include "recovery/extent_facts.hpp"
#include "recovery/log_names.hpp"
#include "store/memory_store.hpp"
#include "vault/logbook_writer.hpp"

namespace lifeboat::recovery {
namespace {

using namespace kafka::captured;

const kafka::LogId kPartition{"c", "t", "events", PartitionId(0)};
const vault::LogName kLog = log_name(kPartition);

vault::LogName since(std::int32_t epoch) {
  return log_name_since(kPartition, kafka::LeaderEpoch(epoch));
}

std::string bytes_of(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

struct History : ::testing::Test {
  store::MemoryStore store;
  ManualClock clock{Timestamp(0)};
  Random random{1};
  Cancel cancel;
  vault::Vault vault = vault::Vault::create(store, clock, random);

  void archive(const vault::LogName& log, std::int64_t from, std::int64_t to,
               const std::string& bytes = "", const std::string& attributes = "") {
    vault::LogbookWriter writer(vault, {}, clock, random, log_policy());
    writer.append({log, Position(from), Position(to), Timestamp(1), Timestamp(2), attributes},
                  bytes, cancel);
    writer.close(cancel);
  }
  // "log [from, to)" of each part that is read.
  std::vector<std::string> read() {
    std::vector<std::string> parts;
    load_history(vault).read(
        kLog, Position(0), Position(1000),
        [&](const vault::ExtentView& view) {
          parts.push_back(
              fmt::format("{} [{}, {})", view.extent.log.value, view.wanted_from, view.wanted_to));
        },
        vault::Holes::skip);
    return parts;
  }
  std::string part(const vault::LogName& log, int from, int to) {
    return fmt::format("{} [{}, {})", log.value, from, to);
  }
};

TEST_F(History, BranchesFollowOneAnotherByEpochNotByName) {
  archive(kLog, 0, 100);
  archive(since(9), 80, 150);
  archive(since(10), 120, 200);
  EXPECT_EQ(read(),
            (std::vector{part(kLog, 0, 80), part(since(9), 80, 120), part(since(10), 120, 200)}));
}

TEST_F(History, ABranchFromFartherBackTakesThePlaceOfEarlierOnes) {
  archive(kLog, 0, 100);
  archive(since(2), 80, 150);
  archive(since(3), 90, 160);
  archive(since(4), 50, 70);
  EXPECT_EQ(read(), (std::vector{part(kLog, 0, 50), part(since(4), 50, 70)}));
}

TEST_F(History, ALogThatWasNeverCutIsReadAsItIs) {
  archive(kLog, 0, 100);
  archive(log_name_since({"c", "t", "events", PartitionId(1)}, kafka::LeaderEpoch(3)), 10, 20);
  EXPECT_EQ(read(), std::vector{part(kLog, 0, 100)});
}

TEST_F(History, WhatTheClusterLostIsWhatLaterBranchesTookThePlaceOf) {
  const auto lost = [&] {
    std::vector<std::string> parts;
    for (const auto& [partition, range] : lost_parts(vault::Logbook::load(vault), kPartition)) {
      parts.push_back(
          fmt::format("{} [{}, {})", partition.summary.log.value, range.from, range.until));
    }
    return parts;
  };
  archive(kLog, 10, 100);
  EXPECT_TRUE(lost().empty());
  archive(since(9), 80, 150);
  EXPECT_EQ(lost(), std::vector{part(kLog, 80, 100)});
  archive(since(10), 120, 200);
  EXPECT_EQ(lost(), (std::vector{part(kLog, 80, 100), part(since(9), 120, 150)}));
  archive(since(11), 5, 20);  // nothing was proven to be the same
  EXPECT_EQ(lost(),
            (std::vector{part(kLog, 10, 100), part(since(9), 80, 150), part(since(10), 120, 200)}));
  archive(log_name_since({"c", "t", "events", PartitionId(1)}, kafka::LeaderEpoch(3)), 0, 20);
  EXPECT_EQ(lost().size(), 3u) << "another partition's";
}

// The abort of [0, 2) was among what the cluster lost; what came instead commits it.
TEST_F(History, WhatLostMarkersSaidDoesNotCount) {
  const auto bytes = bytes_of(kAborted) + bytes_of(kAbortMarker);
  const auto facts = kafka::facts_of(kafka::split_batches(bytes).batches);
  archive(kLog, 0, 3, bytes, to_attributes(facts));
  const auto uncommitted = [&] {
    return transactions_of(load_history(vault), kLog, Position(0), Position(2)).never_committed();
  };
  EXPECT_EQ(uncommitted().size(), 1u);
  const auto instead = bytes_of(kCommitMarker);
  const auto batches = kafka::split_batches(instead).batches;
  ASSERT_EQ(batches.front().producer().id,
            kafka::split_batches(bytes).batches.front().producer().id);
  archive(since(1), 2, batches.front().next_offset().value, instead,
          to_attributes(kafka::facts_of(batches)));
  EXPECT_TRUE(uncommitted().empty());
}

}  // namespace
}  // namespace lifeboat::recovery
