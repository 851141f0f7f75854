#include "recovery/retention.hpp"

#include <gtest/gtest.h>

namespace lifeboat::recovery {
namespace {

using Kind = TimeLeft::Kind;

const Timestamp kNow(1'000'000'000);

// 1000 records of 100 bytes wait, the oldest is 10 minutes old; 10 more come each second.
RetentionFacts facts() {
  RetentionFacts f;
  f.next = Position(5000);
  f.source_start = Position(100);
  f.source_end = Position(6000);
  f.oldest = Timestamp(kNow.value - 600'000);
  f.bytes_a_record = 100;
  f.records_a_second = 10;
  return f;
}

void expect_left(const RetentionFacts& f, Kind kind, double seconds = 0) {
  auto left = time_left(f, kNow);
  EXPECT_EQ(static_cast<int>(left.kind), static_cast<int>(kind)) << to_string(left);
  EXPECT_NEAR(left.seconds, seconds, 0.01);
}

TEST(TimeLeft, IsThatOfTheNearerLimit) {
  auto f = facts();
  f.retention.time = Millis(3'600'000);
  expect_left(f, Kind::known, 3000);
  f.retention.bytes = ByteCount(1'100'000);
  expect_left(f, Kind::known, 1000);  // room for 10,000 records
  f.retention.bytes = ByteCount(50'000);
  expect_left(f, Kind::known, 0);
  f.retention.bytes = ByteCount(100'000'000);
  expect_left(f, Kind::known, 3000);
  f.retention.time = Millis(60'000);
  expect_left(f, Kind::known, 0);
}

TEST(TimeLeft, NothingIsAtRiskThatIsArchivedOrNeverDeleted) {
  auto f = facts();
  expect_left(f, Kind::unlimited);
  f.retention.bytes = ByteCount(1'000'000);
  f.records_a_second = 0;  // nothing comes, so nothing goes
  expect_left(f, Kind::unlimited);
  f.retention.time = Millis(1);
  f.next = f.source_end;
  expect_left(f, Kind::caught_up);
}

TEST(TimeLeft, WhatIsNotKnownIsSaidToBeUnknown) {
  auto f = facts();
  f.oldest.reset();
  f.retention.time = Millis(3'600'000);
  expect_left(f, Kind::unknown);
  f.retention.bytes = ByteCount(50'000);
  expect_left(f, Kind::known, 0);  // that much is sure
  f = facts();
  f.retention.bytes = ByteCount(1'000'000);
  f.bytes_a_record.reset();
  expect_left(f, Kind::unknown);
  f.retention.time = Millis(3'600'000);
  expect_left(f, Kind::unknown);  // it may be sooner
  f.source_start = Position(5001);
  expect_left(f, Kind::passed);
}

TEST(TimeLeft, AlarmsBelowTheThreshold) {
  EXPECT_TRUE(alarming({Kind::known, 59}, Millis(60'000)));
  EXPECT_FALSE(alarming({Kind::known, 61}, Millis(60'000)));
  EXPECT_TRUE(alarming({Kind::passed, 0}, Millis(60'000)));
  EXPECT_FALSE(alarming({Kind::unknown, 0}, Millis(60'000)));
  EXPECT_FALSE(alarming({Kind::caught_up, 0}, Millis(60'000)));
  EXPECT_EQ(to_string(TimeLeft{Kind::known, 7'300}), "2 h");
  EXPECT_EQ(to_string(TimeLeft{Kind::known, 90}), "90 s");
}

}  // namespace
}  // namespace lifeboat::recovery
