#include "base/types.hpp"

#include <gtest/gtest.h>

#include "base/checksum.hpp"

namespace lifeboat {
namespace {

TEST(Types, LsnRoundTrip) {
  EXPECT_EQ(to_string(Lsn(0x16B374D848)), "16/B374D848");
  EXPECT_EQ(parse_lsn("16/B374D848"), Lsn(0x16B374D848));
  for (const char* wrong : {"", "/", "1/", "/1", "g/1", "123456789/1", "1/1 "}) {
    EXPECT_FALSE(parse_lsn(wrong)) << wrong;
  }
}

TEST(Types, TimestampRoundTrip) {
  Timestamp t(1795367106123);
  EXPECT_EQ(parse_timestamp(to_string(t)), t);
  EXPECT_EQ(parse_timestamp("1970-01-01 01:00:00+01:00"), Timestamp(0));
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:01.5Z"), Timestamp(1500));
  for (const char* bound : {"0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"}) {
    EXPECT_EQ(to_string(parse_timestamp(bound).value_or(Timestamp(0))), bound);
  }
  for (const char* wrong : {"", "yesterday", "2026-02-31T00:00:00Z", "2026-01-01T25:00:00Z",
                            "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"}) {
    EXPECT_FALSE(parse_timestamp(wrong)) << wrong;
  }
}

TEST(Types, AnyTimestampIsShown) {
  EXPECT_EQ(to_string(Timestamp(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_string(Timestamp(INT64_MIN)), "-292275055-05-16T16:47:04.192Z");
  EXPECT_EQ(to_string(Timestamp(INT64_MAX)), "292278994-08-17T07:12:55.807Z");
}

TEST(Checksum, KnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c("56789", crc32c("1234")), 0xe3069283u);
  EXPECT_EQ(sha256("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Digest::parse(sha256("abc").hex()), sha256("abc"));
}

}  // namespace
}  // namespace lifeboat
