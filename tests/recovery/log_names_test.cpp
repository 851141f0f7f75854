#include "recovery/log_names.hpp"

#include <gtest/gtest.h>

namespace lifeboat::recovery {
namespace {

const kafka::LogId kLog{"cluster", "topic-id", "a.topic", PartitionId(7)};

TEST(LogNames, ALogThatWasWrittenAnewHasANameOfItsOwn) {
  const auto plain = log_name(kLog);
  const auto since = log_name_since(kLog, kafka::LeaderEpoch(12));
  EXPECT_EQ(since.value, plain.value + "/epoch-12");
  EXPECT_EQ(parse_kafka_log(plain), kLog);
  EXPECT_FALSE(parse_kafka_log(since)) << "who knows only plain logs must not take it for one";
  const auto branch = parse_kafka_branch(since);
  ASSERT_TRUE(branch);
  EXPECT_EQ(branch->log, kLog);
  EXPECT_EQ(branch->epoch, kafka::LeaderEpoch(12));
}

TEST(LogNames, WhatIsNoBranchIsNotTakenForOne) {
  const auto plain = log_name(kLog).value;
  for (const auto& name : {plain, plain + "/", plain + "/epoch-", plain + "/epoch-x",
                           plain + "/epoch-1x", plain + "/epoch--2", plain + "/12",
                           plain + "/epoch-1/epoch-2", std::string("epoch-1"), std::string("/")}) {
    EXPECT_FALSE(parse_kafka_branch({name})) << name;
  }
}

}  // namespace
}  // namespace lifeboat::recovery
