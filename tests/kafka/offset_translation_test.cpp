#include "kafka/offset_translation.hpp"

#include <gtest/gtest.h>

#include <map>

#include "base/error.hpp"
#include "base/random.hpp"

namespace lifeboat::kafka {
namespace {

OffsetTranslation example() {
  OffsetTranslation table;
  table.add(Offset(10), Offset(15), Offset(0));
  table.add(Offset(15), Offset(20), Offset(5));   // goes on: one range
  table.add(Offset(21), Offset(30), Offset(10));  // a marker at 20 was dropped
  return table;
}

TEST(OffsetTranslation, Table) {
  const auto table = example();
  ASSERT_EQ(table.ranges().size(), 2u);
  const struct {
    int old;
    int fresh;
    const char* why;
  } cases[] = {
      {0, 0, "before the archive: its first record"},
      {10, 0, "first record"},
      {14, 4, "inside"},
      {15, 5, "a seam"},
      {19, 9, "last before a hole"},
      {20, 10, "the hole: the next kept record"},
      {21, 10, "after the hole"},
      {29, 18, "last record"},
      {30, 19, "the end: the new end"},
      {99, 19, "past the end"},
  };
  for (const auto& c : cases) EXPECT_EQ(table.translate(Offset(c.old)), Offset(c.fresh)) << c.why;
  EXPECT_EQ(table.new_end(), Offset(19));
  EXPECT_EQ(table.old_end(), Offset(30));
}

TEST(OffsetTranslation, EmptyMeansTheStart) {
  const OffsetTranslation table(Offset(7));
  EXPECT_EQ(table.translate(Offset(0)), Offset(7));
  EXPECT_EQ(table.translate(Offset(1000)), Offset(7));
  EXPECT_EQ(table.old_end(), std::nullopt);
  EXPECT_EQ(OffsetTranslation::parse(table.serialise()), table);
}

TEST(OffsetTranslation, RangesMustComeInOrder) {
  auto table = example();
  EXPECT_THROW(table.add(Offset(29), Offset(31), Offset(19)), Error);  // old ones overlap
  EXPECT_THROW(table.add(Offset(30), Offset(31), Offset(18)), Error);  // new ones overlap
  EXPECT_THROW(table.add(Offset(31), Offset(31), Offset(19)), Error);  // empty
  EXPECT_THROW(table.add(Offset(-1), Offset(5), Offset(19)), Error);
  EXPECT_THROW(table.add(Offset(30), Offset(INT64_MAX), Offset(100)), Error);  // overflow
  EXPECT_EQ(table, example());
}

TEST(OffsetTranslation, ParseRefusesWhatIsNotATable) {
  for (const char* text :
       {"", "[]", "{}", "null", R"({"v":1})", R"({"v":1,"start":"0","ranges":[]})",
        R"({"v":1,"start":0,"ranges":[[1,2]]})", R"({"v":1,"start":0,"ranges":[[1,2,0.5]]})",
        R"({"v":1,"start":0,"ranges":[[5,2,0]]})",
        R"({"v":1,"start":0,"ranges":[[0,9,0],[5,12,9]]})"}) {
    EXPECT_THROW(OffsetTranslation::parse(text), Error) << text;
  }
  const auto deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_THROW(OffsetTranslation::parse(R"({"v":1,"start":0,"ranges":[)" + deep + "]}"), Error);
  EXPECT_THROW(OffsetTranslation::parse(R"({"v":)" + deep + R"(,"start":0,"ranges":[]})"), Error);
  try {
    OffsetTranslation::parse(R"({"v":2,"start":0,"ranges":[]})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
  }
}

// Against the obvious: a map of every record kept, and lower_bound in it.
TEST(OffsetTranslation, AgreesWithAMapOfAllRecords) {
  const std::uint64_t seed = Random().next();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int round = 0; round < 200; ++round) {
    OffsetTranslation table;
    std::map<std::int64_t, std::int64_t> kept;
    std::int64_t old = static_cast<std::int64_t>(random.below(20));
    std::int64_t fresh = 0;
    for (int i = 0; i < 20; ++i) {
      const auto n = static_cast<std::int64_t>(1 + random.below(6));
      if (random.below(3) > 0) {
        table.add(Offset(old), Offset(old + n), Offset(fresh));
        for (std::int64_t k = 0; k < n; ++k) kept[old + k] = fresh + k;
        fresh += n;
      }
      old += n;
    }
    const auto again = OffsetTranslation::parse(table.serialise());
    ASSERT_EQ(again, table);
    for (std::int64_t position = 0; position < old + 5; ++position) {
      const auto record = kept.lower_bound(position);
      const auto expected = record == kept.end() ? fresh : record->second;
      ASSERT_EQ(again.translate(Offset(position)), Offset(expected)) << position;
    }
  }
}

}  // namespace
}  // namespace lifeboat::kafka
