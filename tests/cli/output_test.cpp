#include "cli/output.hpp"

#include <gtest/gtest.h>

#include "cli/point_summary.hpp"

namespace lifeboat::cli {
namespace {

TEST(Output, Bytes) {
  EXPECT_EQ(format_bytes(ByteCount(0)), "0 B");
  EXPECT_EQ(format_bytes(ByteCount(1023)), "1023 B");
  EXPECT_EQ(format_bytes(ByteCount(1536)), "1.5 KiB");
  EXPECT_EQ(format_bytes(ByteCount(3ull << 30)), "3.0 GiB");
  EXPECT_EQ(format_bytes(ByteCount(~0ull)), "16384.0 PiB");
}

TEST(Output, Seconds) {
  EXPECT_EQ(format_seconds(0.04), "0.0 s");
  EXPECT_EQ(format_seconds(9.94), "9.9 s");
  EXPECT_EQ(format_seconds(59), "59 s");
  EXPECT_EQ(format_seconds(125), "2 min 5 s");
  EXPECT_EQ(format_seconds(11400), "3 h 10 min");
  EXPECT_EQ(format_seconds(187200), "2 d 4 h");
}

TEST(Output, Age) {
  EXPECT_EQ(format_age(Timestamp(0), Timestamp(300'000)), "5 min 0 s ago");
  EXPECT_EQ(format_age(Timestamp(1), Timestamp(0)), "in the future");
}

TEST(Output, Progress) {
  EXPECT_EQ(format_progress("base backup", 512, 1024, "bytes", 256),
            "base backup: 512 B of 1.0 KiB (50 %), 256 B/s, 2.0 s left");
  EXPECT_EQ(format_progress("", 7, 0, "files", 0), "7 files");
  EXPECT_EQ(format_progress("x", 5, 4, "tables", 1), "x: 5 tables of 4 tables (100 %), 1 tables/s");
}

TEST(Output, Table) {
  Table table({"A", "LONG", "C"});
  EXPECT_TRUE(table.empty());
  table.row({"first", "x", ""});
  EXPECT_FALSE(table.empty());
  EXPECT_EQ(table.text(), "A      LONG  C\nfirst  x\n");
}

TEST(Output, ErrorJson) {
  auto json = error_json(Error(Code::denied, "s", "m", "h").during("a").during("b"));
  EXPECT_EQ(json["code"], "denied");
  EXPECT_EQ(json["while"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(json["hint"], "h");
}

TEST(PointSummary, FindsTheCutWhereverItIs) {
  vault::RecoveryPoint point;
  EXPECT_FALSE(summarize(point).exact);
  point.stores["kafka"] = {{"exact", false}};
  EXPECT_FALSE(summarize(point).exact);
  point.stores["clickhouse"] = {{"cut", {{"exact", true}}}, {"held_seconds", 0.25}};
  EXPECT_EQ(summarize(point).exact, true);
  EXPECT_EQ(summarize(point).held_seconds, 0.25);
  point.stores["clickhouse"] = {{"exact", "yes"}, {"list", {1, 2}}};
  EXPECT_FALSE(summarize(point).exact);
  EXPECT_EQ(summarize(point).stores, (std::vector<std::string>{"clickhouse", "kafka"}));
}

}  // namespace
}  // namespace lifeboat::cli
