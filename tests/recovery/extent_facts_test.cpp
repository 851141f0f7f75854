#include "recovery/extent_facts.hpp"

#include <gtest/gtest.h>

#include "kafka/captured_batches.hpp"
#include "recovery/extent_attributes.hpp"
#include "store/memory_store.hpp"

namespace lifeboat::recovery {
namespace {

using namespace kafka::captured;

const vault::LogName kLog{"kafka/c/t/events/0"};

std::string bytes_of(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

TEST(ExtentFacts, AttributesSayWhatTheFactsSay) {
  kafka::RangeFacts facts;
  facts.epochs = {{kafka::LeaderEpoch(2), Offset(5)}, {kafka::LeaderEpoch(3), Offset(9)}};
  facts.aborted = {{7, Offset(5), Offset(8)}};
  facts.open = {{8, Offset(9)}};
  facts.ended = {{7, Offset(8), kafka::Marker::abort}, {9, Offset(6), kafka::Marker::commit}};
  const auto text = to_attributes(facts);
  EXPECT_EQ(text, R"({"epochs":[[2,5],[3,9]],"aborted":[[7,5,8]],"open":[[8,9]],)"
                  R"("ended":[[7,8,0],[9,6,1]]})");
  EXPECT_EQ(parse_attributes(text), facts);
  EXPECT_EQ(to_attributes({}), "");
  EXPECT_EQ(parse_attributes(""), kafka::RangeFacts());
  for (const char* none :
       {R"({"transactions":true})", "[", R"({"aborted":[[1]]})", R"({"open":3})",
        R"({"epochs":[["a",1]]})", R"({"epochs":[[4294967296,1]]})", R"({"aborted":[[1,2,1e300]]})",
        R"({"open":[[9223372036854775808,1]]})", R"({"ended":[[1,2,2]]})", "[]", "7"}) {
    EXPECT_EQ(parse_attributes(none), std::nullopt) << none;
  }
}

TEST(ExtentFacts, TooManyTransactionsForTheAttributesAreLeftInTheBatches) {
  kafka::RangeFacts facts;
  for (int i = 0; i < 5000; ++i) facts.aborted.push_back({i, Offset(2 * i), Offset(2 * i + 1)});
  EXPECT_EQ(parse_attributes(to_attributes(facts)), std::nullopt);
}

// [0, 2) aborted by the marker at 2, [3, 5) committed by that at 5.
struct Archived : ::testing::Test {
  store::MemoryStore store;
  ManualClock clock{Timestamp(0)};
  Random random{1};
  Cancel cancel;
  vault::Vault vault = vault::Vault::create(store, clock, random);

  void archive(const std::vector<std::string>& pieces, bool tell) {
    vault::LogbookWriter writer(vault, {}, clock, random, log_policy());
    for (const auto& bytes : pieces) {
      auto batches = kafka::split_batches(bytes).batches;
      writer.append({kLog, Position(batches.front().base_offset().value),
                     Position(batches.back().next_offset().value), Timestamp(1), Timestamp(2),
                     tell ? to_attributes(facts_of(batches)) : R"({"transactions":true})"},
                    bytes, cancel);
    }
    writer.close(cancel);
  }
  std::vector<kafka::AbortedTransaction> aborted(std::int64_t from, std::int64_t to) {
    return transactions_of(vault::Logbook::load(vault), kLog, Position(from), Position(to))
        .never_committed();
  }
};

const std::vector<std::string> kAll = {bytes_of(kAborted), bytes_of(kAbortMarker),
                                       bytes_of(kCommitted), bytes_of(kCommitMarker)};
const std::vector<kafka::AbortedTransaction> kOne = {{0, Offset(0), Offset(2)}};

TEST_F(Archived, ExtentsAreMergedAndSayWhatWasAborted) {
  archive(kAll, true);
  auto extents = vault::Logbook::load(vault).extents(kLog);
  ASSERT_EQ(extents.size(), 1u);
  EXPECT_EQ(extents[0].attributes_json,
            R"({"epochs":[[0,0]],"aborted":[[0,0,2]],"ended":[[0,2,0]]})");
  EXPECT_EQ(aborted(0, 6), kOne);
}

TEST_F(Archived, TheEndIsLookedForBeyondTheRange) {
  for (const auto& piece : kAll) archive({piece}, true);  // four writers
  EXPECT_EQ(aborted(0, 1), kOne);
  EXPECT_TRUE(aborted(3, 4).empty());
}

TEST_F(Archived, WithoutAnEndItNeverCame) {
  archive({kAll[0]}, true);
  EXPECT_EQ(aborted(0, 2), kOne);
}

TEST_F(Archived, ExtentsThatDoNotTellAreRead) {
  archive({kAll[0]}, true);
  archive({kAll[1], kAll[2]}, false);
  archive({kAll[3]}, true);
  EXPECT_EQ(aborted(0, 6), kOne);
}

}  // namespace
}  // namespace lifeboat::recovery
