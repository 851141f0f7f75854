#include "postgres/wal_file.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lifeboat::postgres {
namespace {

constexpr ByteCount kMiB(1 << 20), k16MiB(16 << 20), kGiB(1 << 30);

Lsn lsn(const char* text) {
  return parse_lsn(text).value();
}

TEST(WalFile, NamesAndTheirRanges) {
  // As pg_walfile_name() of PostgreSQL 15 gives them.
  struct Row {
    std::uint32_t timeline;
    const char* lsn;
    ByteCount size;
    const char* name;
    const char* start;
  };
  const Row rows[] = {
      {1, "0/0", k16MiB, "000000010000000000000000", "0/0"},
      {1, "0/1000028", k16MiB, "000000010000000000000001", "0/1000000"},
      {1, "0/FFFFFFFF", k16MiB, "0000000100000000000000FF", "0/FF000000"},
      {2, "1/0", k16MiB, "000000020000000100000000", "1/0"},
      {0xABC, "16/B374D848", k16MiB, "00000ABC00000016000000B3", "16/B3000000"},
      {3, "5/C0000001", kGiB, "000000030000000500000003", "5/C0000000"},
      {3, "0/FFF00000", kMiB, "000000030000000000000FFF", "0/FFF00000"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto at = lsn(row.lsn);
    EXPECT_EQ(wal_file_name(TimelineId(row.timeline), at, row.size), row.name);
    EXPECT_EQ(segment_start(at, row.size), lsn(row.start));
    EXPECT_EQ(segment_end(at, row.size), lsn(row.start) + row.size.value);
    const auto parsed = parse_wal_file_name(row.name, row.size);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->timeline, TimelineId(row.timeline));
    EXPECT_EQ(parsed->start, lsn(row.start));
  }
}

TEST(WalFile, OtherNamesAreNotSegments) {
  for (const char* name :
       {"", "00000001000000000000000", "0000000100000000000000001", "00000001000000000000000g",
        "00000001000000000000000a", "000000010000000000000003.partial", "00000002.history",
        "000000010000000000000100", "000000000000000000000001", "+00000010000000000000001",
        "000000010000000000000003.00000028.backup", " 0000001000000000000001 "}) {
    EXPECT_FALSE(parse_wal_file_name(name, k16MiB)) << name;
  }
  EXPECT_TRUE(parse_wal_file_name("000000010000000000000100", kMiB));
}

TEST(WalFile, HistoryNames) {
  EXPECT_EQ(history_file_name(TimelineId(0x1F)), "0000001F.history");
  EXPECT_EQ(parse_history_file_name("0000001F.history"), TimelineId(0x1F));
  for (const char* name : {"", "0000001f.history", "1F.history", "0000001F.historx",
                           "0000001F.history ", "00000000.history", "../0001F.history"}) {
    EXPECT_FALSE(parse_history_file_name(name)) << name;
  }
}

TEST(WalFile, SegmentSizesThatCannotBe) {
  for (const std::uint64_t size : {0ull, 1ull, 1ull << 19, 3ull << 20, 1ull << 31, ~0ull}) {
    EXPECT_FALSE(valid_segment_size(ByteCount(size)));
    EXPECT_THROW(segment_start(Lsn(1), ByteCount(size)), Error);
    EXPECT_THROW(wal_file_name(TimelineId(1), Lsn(1), ByteCount(size)), Error);
    EXPECT_THROW(parse_wal_file_name("x", ByteCount(size)), Error);
  }
}

constexpr const char* kHistory =
    "1\t0/3000148\tno recovery target specified\n"
    "\n"
    "# a comment\n"
    "2\t0/5000000\tbefore 2026-11-22 17:05:06+00\n"
    "4\t16/B374D848\tno recovery target specified";

TEST(History, Parses) {
  const std::vector<TimelineSwitch> expected = {{TimelineId(1), lsn("0/3000148")},
                                                {TimelineId(2), lsn("0/5000000")},
                                                {TimelineId(4), lsn("16/B374D848")}};
  EXPECT_EQ(parse_history(kHistory), expected);
  EXPECT_TRUE(parse_history("").empty());
}

TEST(History, RefusesWhatIsNone) {
  for (const char* text :
       {"x\t0/1\ty\n", "1\n", "1\t\n", "0\t0/1\n", "1\t0-1\n", "99999999999\t0/1\n", "-1\t0/1\n",
        "2\t0/2\tx\n1\t0/3\tx\n", "1\t0/3\tx\n2\t0/2\tx\n", "1\t0/3\tx\n1\t0/4\tx\n"}) {
    EXPECT_THROW(parse_history(text), Error) << text;
  }
  EXPECT_THROW(parse_history(std::string((1 << 20) + 1, '\n')), Error);
}

TEST(History, EveryTruncationAndFlipIsReadOrRefused) {
  const std::string whole = kHistory;
  const auto read = [](const std::string& text) {
    try {
      parse_history(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::corrupt);
    }
  };
  for (std::size_t n = 0; n < whole.size(); ++n) {
    read(whole.substr(0, n));
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = whole;
      flipped[n] = static_cast<char>(flipped[n] ^ (1 << bit));
      read(flipped);
    }
  }
}

TEST(History, OfAnAncestorIsTheBeginningOfItsChilds) {
  EXPECT_EQ(history_of_ancestor(kHistory, TimelineId(2)),
            "1\t0/3000148\tno recovery target specified\n\n# a comment\n");
  EXPECT_EQ(history_of_ancestor(kHistory, TimelineId(1)), "");
  EXPECT_FALSE(history_of_ancestor(kHistory, TimelineId(3)));
}

}  // namespace
}  // namespace lifeboat::postgres
