#include "vault/sample.hpp"

#include <gtest/gtest.h>

#include <map>

#include "base/random.hpp"

namespace lifeboat::vault {
namespace {

TEST(Sample, SharesAreWrittenAsPercent) {
  struct Case {
    const char* text;
    std::optional<Share> share;
  };
  for (const auto& [text, share] :
       {Case{"5%", Share(50'000)}, Case{"100%", kAll}, Case{"0.25%", Share(2'500)},
        Case{"0.0000001%", Share(1)}, Case{"5", {}}, Case{"%", {}}, Case{"", {}}, Case{"0%", {}},
        Case{"-1%", {}}, Case{"100.5%", {}}, Case{"nan%", {}}, Case{"inf%", {}}, Case{"5%%", {}},
        Case{"1e1%", {}}, Case{" 5%", {}}}) {
    EXPECT_EQ(parse_share(text), share) << text;
  }
  EXPECT_EQ(to_string(Share(50'000)), "5%");
  EXPECT_EQ(to_string(Share(2'500)), "0.25%");
}

TEST(Sample, AnArcGoesAroundTheCircle) {
  const std::uint64_t last = UINT64_MAX;
  EXPECT_TRUE((Arc{5, 5}.holds(5)));
  EXPECT_TRUE((Arc{5, 5}.holds(6)));
  EXPECT_TRUE((Arc{5, 8}.holds(6)));
  EXPECT_TRUE((Arc{5, 8}.holds(8)));
  EXPECT_FALSE((Arc{5, 8}.holds(5)));
  EXPECT_FALSE((Arc{5, 8}.holds(9)));
  EXPECT_TRUE((Arc{last - 1, 2}.holds(last)));
  EXPECT_TRUE((Arc{last - 1, 2}.holds(0)));
  EXPECT_FALSE((Arc{last - 1, 2}.holds(3)));
  EXPECT_EQ(arc_of(7, kAll), (Arc{7, 7}));
  EXPECT_EQ(arc_of(7, Share(500'000)), (Arc{7, 7 + (1ull << 63)}));
}

TEST(Sample, ReadsAtLeastItsShareAndAtLeastOne) {
  EXPECT_EQ(arc_of({}, 1, 0, Share(50'000)), std::nullopt);
  std::vector<SampleUnit> units = {
      {"a", ByteCount(1)}, {"b", ByteCount(1000)}, {"c", ByteCount(0)}};
  for (auto share : {Share(1), Share(50'000), Share(999'000), kAll}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      auto arc = arc_of(units, seed, seed * 977, share);
      ASSERT_TRUE(arc);
      std::uint64_t bytes = 0, count = 0;
      for (const auto& unit : units) {
        if (!arc->holds(place_of(seed, unit.name))) continue;
        bytes += unit.size.value;
        ++count;
      }
      EXPECT_GE(count, 1u);
      EXPECT_GE(bytes * 1e6, 1001.0 * share.value) << to_string(share) << " " << seed;
      EXPECT_LE(bytes, 1001u);
    }
  }
}

// What is added and removed meanwhile changes nothing in this: what stays is read in each turn.
TEST(Sample, ManySamplesReadAllOfItAndTheOldestFirst) {
  const std::uint64_t seed = Random().next();
  SCOPED_TRACE(seed);
  Random random(seed);
  std::vector<SampleUnit> stay, passing;
  for (int i = 0; i < 300; ++i) {
    stay.push_back({"packs/" + std::to_string(i), ByteCount(1 + random.below(1000))});
  }
  std::map<std::string, int> last;
  std::uint64_t at = random.next();
  for (int run = 0; run < 60; ++run) {
    passing.clear();
    for (std::uint64_t i = 0; i < random.below(20); ++i) {
      passing.push_back({"logbook/" + random.hex(8), ByteCount(random.below(1000))});
    }
    auto units = stay;
    units.insert(units.end(), passing.begin(), passing.end());
    auto arc = arc_of(units, seed, at, Share(50'000)).value();
    for (const auto& unit : stay) {
      if (!arc.holds(place_of(seed, unit.name))) continue;
      // 20 samples of at least 5% go around; more than once within 15 would be no turn.
      if (last.contains(unit.name)) {
        EXPECT_GE(run - last[unit.name], 15) << unit.name;
      }
      last[unit.name] = run;
    }
    at = arc.upto;
    if (run == 24) {
      EXPECT_EQ(last.size(), stay.size());
    }
  }
  for (const auto& [name, run] : last) EXPECT_GE(run, 60 - 26) << name;
}

SamplePlace place(std::uint64_t packs, std::uint64_t logbook, std::uint64_t files) {
  return {9, packs, logbook, files};
}
constexpr std::uint64_t kHalf = 1ull << 63;

TEST(SampleTurn, HasGoneRoundWhenEachKindHas) {
  const Timestamp t1(1000), t2(2000), t3(3000), t4(4000);
  auto turn = with_run({}, place(5, 5, 5), {t1, place(5 + kHalf, 5, 6 + kHalf)});
  EXPECT_EQ(gone_round_since(turn, t1), std::nullopt);  // of the logbook all
  turn = with_run(turn, place(5 + kHalf, 5, 6 + kHalf), {t2, place(4, 5, 8)});
  EXPECT_EQ(gone_round_since(turn, t1), std::nullopt);  // one place of the packs is left
  turn = with_run(turn, place(4, 5, 8), {t3, place(6, 5, 9)});
  EXPECT_EQ(gone_round_since(turn, t1), t1);
  EXPECT_EQ(gone_round_since(turn, t2), std::nullopt);
  turn = with_run(turn, place(6, 5, 9), {t4, place(7 + kHalf, 5, 9 + kHalf)});
  EXPECT_EQ(gone_round_since(turn, t1), t2);
  EXPECT_EQ(turn.runs.size(), 3u);  // the first is not needed any more
  EXPECT_EQ(turn.from, place(5 + kHalf, 5, 6 + kHalf));
  // One that did not read on begins a turn of its own; one that read all is a whole one.
  turn = with_run(turn, place(0, 0, 0), {t4, place(0, 0, 0)});
  EXPECT_EQ(turn.runs.size(), 1u);
  EXPECT_EQ(gone_round_since(turn, t4), t4);
}

TEST(SampleTurn, TwentySamplesOfFivePercentGoRoundWhereUnitsAreNotKnown) {
  SampleTurn turn;
  std::uint64_t at = 77;
  for (int run = 0; run < 20; ++run) {
    EXPECT_EQ(gone_round_since(turn, Timestamp(0)), std::nullopt) << run;
    const auto upto = arc_of(at, Share(50'000)).upto;
    turn = with_run(turn, place(at, at, at), {Timestamp(run), place(upto, upto, upto)});
    at = upto;
  }
  EXPECT_EQ(gone_round_since(turn, Timestamp(0)), Timestamp(0));
}

// Whatever comes and goes: what was there all the time was read since then, and not earlier.
TEST(SampleTurn, SaysNothingThatWasNotRead) {
  const std::uint64_t seed = Random().next();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (std::uint32_t share : {400u, 3'000u, 20'000u, 50'000u, 400'000u}) {
    std::map<std::string, int> born, read;
    SampleTurn turn;
    std::uint64_t at = random.next();
    int said = 0;
    const std::size_t least = share < 1000 ? 250 : 40;  // the first is more than kMostRuns
    for (int run = 0; run < 3'000'000 / static_cast<int>(share) && run < 1500; ++run) {
      while (born.size() < least || random.below(3) == 0) born["packs/" + random.hex(8)] = run;
      if (born.size() > least + 20) {
        born.erase(std::next(born.begin(), static_cast<int>(random.below(least))));
      }
      std::vector<SampleUnit> units;
      for (const auto& [name, _] : born) units.push_back({name, ByteCount(1)});
      const auto arc = arc_of(units, 9, at, Share(share)).value();
      for (const auto& unit : units) {
        if (arc.holds(place_of(9, unit.name))) read[unit.name] = run;
      }
      turn = with_run(turn, place(at, 0, 0), {Timestamp(run), place(arc.upto, 0, 0)});
      at = arc.upto;
      ASSERT_LE(turn.runs.size(), kMostRuns);
      const auto since = gone_round_since(turn, Timestamp(0));
      if (!since) continue;
      ++said;
      for (const auto& [name, when] : born) {
        if (Timestamp(when) > *since) continue;
        ASSERT_TRUE(read.contains(name)) << name << " " << run;
        ASSERT_GE(read[name], since->value) << name << " " << run;
      }
    }
    EXPECT_GT(said, 0) << share;
  }
}

}  // namespace
}  // namespace lifeboat::vault
