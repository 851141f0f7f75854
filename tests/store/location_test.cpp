#include "store/location.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lifeboat::store {
namespace {

TEST(Location, IsADirectoryOrAPlaceInS3) {
  EXPECT_EQ(parse_location("/backup/vault").directory, "/backup/vault");
  EXPECT_EQ(parse_location("/backup/vault").text(), "/backup/vault");
  auto place = parse_location("s3://bucket/a/b/").s3.value();
  EXPECT_EQ(place.bucket, "bucket");
  EXPECT_EQ(place.prefix, "a/b");
  EXPECT_EQ(place.path_style, std::nullopt);
  EXPECT_EQ(parse_location("s3://bucket").s3->prefix, "");
  EXPECT_EQ(parse_location("s3://bucket/").s3->prefix, "");
}

TEST(Location, ItsTextFindsTheSamePlace) {
  for (const char* text : {"s3://bucket", "s3://bucket/a/b?region=eu-central-1",
                           "s3://bucket/a?endpoint=http://"
                           "127.0.0.1:8333&path_style=false&profile=back%20up&ca=/a%26b",
                           "s3://bucket/a?as_of=2026-11-28T10:00:00.000Z"}) {
    auto location = parse_location(text);
    EXPECT_EQ(location.text(), text);
    EXPECT_EQ(parse_location(location.text()).s3, location.s3) << text;
  }
  auto place =
      parse_location("s3://bucket/a?endpoint=https://minio:9000&path_style=true").s3.value();
  EXPECT_EQ(place.endpoint, "https://minio:9000");
  EXPECT_EQ(place.path_style, true);
  EXPECT_EQ(Location(place).shown(), "s3://bucket/a");
}

class WrongPlace : public testing::TestWithParam<const char*> {};

TEST_P(WrongPlace, IsSaid) {
  try {
    parse_location(GetParam());
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::config);
    EXPECT_FALSE(error.hint().empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongPlace,
    testing::Values("s3://", "s3:///a", "s3://ab", "s3://bu cket", "s3://b/../c",
                    "s3://bucket/.hidden", "s3://bucket//a", "s3://bucket/a?colour=red",
                    "s3://bucket/a?region", "s3://bucket?as_of=yesterday",
                    "s3://bucket?path_style=perhaps", "s3://bucket?endpoint=minio",
                    "s3://bucket?endpoint=http://", "s3://bucket?endpoint=ftp://x",
                    "s3://bucket?endpoint=http://user@host",
                    "s3://bucket?endpoint=http://host/path"));

TEST(Location, PercentSigns) {
  EXPECT_EQ(percent_encode("a/b c&d:\xc3\xa4~"), "a%2Fb%20c%26d%3A%C3%A4~");
  EXPECT_EQ(percent_encode("a/b:c d", true), "a/b:c%20d");
  EXPECT_EQ(percent_decode("a%2Fb%20c+d%C3%A4"), "a/b c d\xc3\xa4");
  EXPECT_EQ(percent_decode("100%"), "100%");
  EXPECT_EQ(percent_decode("%zz%4"), "%zz%4");
}

}  // namespace
}  // namespace lifeboat::store
