// What verify runs have proven, as it is kept: what it says of a point, of several runs at once,
// and who relies on it.
#include "vault/proof.hpp"

#include "vault/logbook_keeper.hpp"
#include "vault/prune.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

const Timestamp t1(1000), t2(2000), t3(3000);

PointProof after(std::vector<Outcome> outcomes) {
  PointProof point{"p", {}, {}, {}, {}};
  for (const auto& one : outcomes) add_outcome(point, one);
  return point;
}

Outcome good(Timestamp at, Depth depth) {
  return {at, depth, Verdict::verified, ""};
}
Outcome bad(Timestamp at, Depth depth, Verdict verdict = Verdict::failed) {
  return {at, depth, verdict, "why"};
}

TEST(PointProof, WhatRunsSayOfIt) {
  struct Case {
    const char* what;
    std::vector<Outcome> outcomes;
    PointProof point;
  };
  const auto unknown = Verdict::could_not_verify;
  const Case cases[] = {
      {"nothing", {}, {"p", {}, {}, {}, {}}},
      {"existence proves no data", {good(t1, Depth::existence)}, {"p", t1, {}, {}, {}}},
      {"data proves all", {good(t1, Depth::data)}, {"p", t1, t1, t1, {}}},
      {"a later one that looks less deep leaves the deep one",
       {good(t1, Depth::data), good(t2, Depth::existence)},
       {"p", t2, t1, t1, {}}},
      {"a failure stays beside what was proven before it",
       {good(t1, Depth::data), bad(t2, Depth::sample)},
       {"p", t1, t1, t1, bad(t2, Depth::sample)}},
      {"who looks less deep does not settle a failure",
       {bad(t1, Depth::data), good(t2, Depth::existence)},
       {"p", t2, {}, {}, bad(t1, Depth::data)}},
      {"who looks as deep does",
       {bad(t1, Depth::data), good(t2, Depth::data)},
       {"p", t2, t2, t2, {}}},
      {"who could not look settles nothing",
       {bad(t1, Depth::existence), bad(t2, Depth::data, unknown)},
       {"p", {}, {}, {}, bad(t1, Depth::existence)}},
      {"that one could not look is kept",
       {good(t1, Depth::data), bad(t2, Depth::data, unknown)},
       {"p", t1, t1, t1, bad(t2, Depth::data, unknown)}},
      {"a failure is more than that",
       {bad(t1, Depth::data, unknown), bad(t2, Depth::existence)},
       {"p", {}, {}, {}, bad(t2, Depth::existence)}},
      {"the deeper failure stays",
       {bad(t1, Depth::data), bad(t2, Depth::existence)},
       {"p", {}, {}, {}, bad(t1, Depth::data)}},
  };
  for (const auto& one : cases) EXPECT_EQ(after(one.outcomes), one.point) << one.what;
}

ListedProof record(const std::string& id, std::vector<PointProof> points,
                   std::vector<std::string> replaces = {}, std::vector<std::string> damaged = {}) {
  Proof proof;
  proof.id = id;
  proof.finished = t1;
  proof.points = std::move(points);
  proof.replaces = std::move(replaces);
  proof.damaged = std::move(damaged);
  return {id, proof, Code::corrupt, ""};
}

TEST(MergedProofs, WhatIsReplacedSaysNothing) {
  auto old = record("1", {after({bad(t1, Depth::data)})}, {}, {"packs/x"});
  auto later = record("2", {after({good(t2, Depth::data)})}, {"1"});
  auto merged = merge_proofs({old, later});
  ASSERT_NE(merged.find("p"), nullptr);
  EXPECT_EQ(*merged.find("p"), after({good(t2, Depth::data)}));
  EXPECT_TRUE(merged.damaged.empty());
  EXPECT_EQ(merged.runs.size(), 1u);
  EXPECT_EQ(merged.seen, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(merged.find("q"), nullptr);
}

TEST(MergedProofs, OfRunsThatDidNotKnowEachOtherTheWorseCounts) {
  auto a = record("1", {after({good(t1, Depth::data)})}, {}, {"packs/x"});
  auto b = record("2", {after({bad(t2, Depth::sample)})}, {}, {"packs/y"});
  for (const auto& both : {std::vector{a, b}, std::vector{b, a}}) {
    auto merged = merge_proofs(both);
    EXPECT_EQ(*merged.find("p"), (PointProof{"p", t1, t1, t1, bad(t2, Depth::sample)}));
    EXPECT_EQ(merged.damaged, (std::vector<std::string>{"packs/x", "packs/y"}));
  }
  // One that began later, and looked as deep, settles it.
  auto c = record("3", {after({good(t3, Depth::sample)})});
  EXPECT_EQ(*merge_proofs({b, c}).find("p"), (PointProof{"p", t3, t3, {}, {}}));
}

TEST(MergedProofs, ABrokenRecordIsLeftOut) {
  auto merged = merge_proofs({{"1", {}, Code::corrupt, "broken"}, record("2", {})});
  EXPECT_EQ(merged.seen, std::vector<std::string>{"2"});
}

// The circle goes with what points say of it: both are of the same record.
TEST(MergedProofs, ATurnIsThatOfOneRecord) {
  auto a = record("a", {}), b = record("b", {});
  b.proof->finished = b.proof->began = t2;
  const SamplePlace from{1, 2, 3, 4}, upto{1, 3, 4, 5};
  for (auto* one : {&a, &b}) {
    one->proof->next = upto;
    one->proof->turn = {from, {{one->proof->finished, upto}}};
    one->proof->points = {{"p", t1, t1, {}, {}, {}, SampledSet{one->proof->finished, 7}}};
  }
  a.proof->points[0].whole = ReadWhole{t1, t1};
  a.proof->points.push_back({"q", t1, t1, {}, {}, {}, SampledSet{t1, 8}});
  auto merged = merge_proofs({a, b});
  EXPECT_EQ(merged.turn, b.proof->turn);
  EXPECT_EQ(merged.find("p")->sampled, (SampledSet{t2, 7}));
  EXPECT_EQ(merged.find("p")->whole, (ReadWhole{t1, t1}));  // that was so
  EXPECT_EQ(merged.find("q")->sampled, std::nullopt);
  EXPECT_EQ(merged.last_run(Depth::sample), t2);
}

TEST(PointProof, SamplesThatHaveGoneRound) {
  const SamplePlace p0{1, 0, 0, 0}, p1{1, 1ull << 63, 1ull << 63, 1ull << 63};
  PointProof point{"p", {}, {}, {}, {}};
  auto turn = with_run({}, p0, {t1, p1});
  add_sample(point, 7, turn);
  EXPECT_EQ(point.whole, std::nullopt);
  turn = with_run(turn, p1, {t2, p0});
  auto moved = point, lost = point;
  add_sample(point, 7, turn);
  EXPECT_EQ(point.whole, (ReadWhole{t1, t2}));
  add_sample(moved, 8, turn);  // what it needs lies elsewhere now: perhaps behind us
  EXPECT_EQ(moved.whole, std::nullopt);
  EXPECT_EQ(moved.sampled, (SampledSet{t2, 8}));
  add_sample(lost, std::nullopt, turn);
  turn = with_run(turn, p0, {t3, p1});
  add_sample(lost, 7, turn);
  EXPECT_EQ(lost.whole, std::nullopt);
  add_sample(moved, 8, turn);
  EXPECT_EQ(moved.whole, (ReadWhole{t2, t3}));
}

struct ProofTest : VaultTest {
  Proof some() {
    Proof proof;
    proof.id = make_proof_id(clock, random);
    proof.began = t1;
    proof.finished = t2;
    proof.host = "db1";
    proof.depth = Depth::sample;
    proof.share = Share(50'000);
    proof.point = "20260101T000000000Z-0001";
    proof.verdict = Verdict::failed;
    proof.objects = 7;
    proof.bytes = ByteCount(70);
    proof.damages = {{"packs/x", "pack", "is not what it was", "lifeboat backup", {"p"}}};
    proof.unchecked = {"something"};
    proof.points = {after({good(t1, Depth::data), bad(t2, Depth::data)})};
    proof.points[0].whole = ReadWhole{t1, t2};
    proof.points[0].sampled = SampledSet{t1, UINT64_MAX};
    proof.turn = {SamplePlace{1, 2, 3, 4}, {{t1, SamplePlace{1, UINT64_MAX, 3, 4}}}};
    proof.damaged = {"packs/x"};
    proof.next = SamplePlace{1, UINT64_MAX, 3, 4};
    proof.replaces = {"another"};
    return proof;
  }

  // A snapshot of a file, and a point of it.
  RecoveryPoint take_point(const std::string& content, std::set<std::string> absent = {}) {
    SnapshotOptions options;
    options.chunks.absent = std::move(absent);
    options.chunks.clock = &clock;
    SnapshotWriter tree(vault, "postgres-base", options);
    tree.add_file("f", 0600, Timestamp(1), content);
    RecoveryPoint point;
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    point.finished = clock.now();
    point.stores = {{"postgres", {{"snapshot", tree.finish({{"of", point.id}}).hex()}}}};
    write_point(vault, point);
    clock.advance(Millis(1000));
    return point;
  }

  Proof keep(const VerifyReport& report) {
    Proof proof;
    proof.id = make_proof_id(clock, random);
    proof.damaged.assign(report.damaged.begin(), report.damaged.end());
    proof.replaces = read_proven(vault).seen;
    write_proof(vault, proof);
    return proof;
  }
};

TEST_P(ProofTest, IsReadAsItWasWritten) {
  auto proof = some();
  write_proof(vault, proof);
  write_proof(vault, proof);  // an answer that got lost
  auto listed = list_proofs(vault);
  ASSERT_EQ(listed.size(), 1u);
  ASSERT_TRUE(listed[0].proof) << listed[0].problem;
  const auto& read = *listed[0].proof;
  EXPECT_EQ(read.began, t1);
  EXPECT_EQ(read.finished, t2);
  EXPECT_EQ(read.host, "db1");
  EXPECT_EQ(read.depth, Depth::sample);
  EXPECT_EQ(read.share, Share(50'000));
  EXPECT_EQ(read.point, proof.point);
  EXPECT_EQ(read.verdict, Verdict::failed);
  EXPECT_EQ(read.damages.at(0).points, std::vector<std::string>{"p"});
  EXPECT_EQ(read.points, proof.points);
  EXPECT_EQ(read.next, proof.next);
  EXPECT_EQ(read.turn, proof.turn);
  EXPECT_EQ(damaged_packs(vault), std::vector<std::string>{"packs/x"});
  auto other = proof;
  other.host = "db2";
  EXPECT_EQ(error_of([&] { write_proof(vault, other); }).code(), Code::conflict);
}

TEST_P(ProofTest, ReplacedOnesAreRemovedAndOthersStay) {
  auto first = some(), second = some(), third = some();
  third.replaces = {first.id, "gone before"};
  for (const auto& one : {first, second, third}) write_proof(vault, one);
  remove_replaced_proofs(vault);
  remove_replaced_proofs(vault);  // another verify beside it
  std::set<std::string> ids;
  for (const auto& listed : list_proofs(vault)) ids.insert(listed.id);
  EXPECT_EQ(ids, (std::set<std::string>{second.id, third.id}));
}

// The promise of the hint: a new backup stores anew what a damaged pack has, and heals older
// points.
TEST_P(ProofTest, ANewBackupHealsWhatIsDamagedAndPruneRemovesIt) {
  const auto content = noise(100'000, 5);
  auto first = take_point(content);
  auto pack = damage_chunk(sha256(content));
  keep(verify_all());
  EXPECT_EQ(damaged_packs(vault), std::vector<std::string>{pack});
  auto known = damaged_packs(vault);
  auto second = take_point(content, {known.begin(), known.end()});
  auto report = verify_all();
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].object, pack);
  EXPECT_TRUE(report.damages[0].points.empty());
  EXPECT_NE(report.damages[0].hint.find("nothing is lost"), std::string::npos);
  for (const auto& result : report.results) EXPECT_EQ(result.verdict, Verdict::verified);
  for (const auto& point : {first, second}) {
    EXPECT_EQ(SnapshotReader(vault, snapshots_of(point).at(0)).read_small("f"), content);
  }
  keep(report);
  // Both packs have the chunk: the damaged one goes, never the whole one.
  PruneOptions options;
  options.policy.last = 2;
  options.grace = Millis(10'000);
  for (int i = 0; i < 3; ++i) {
    clock.advance(Millis(20'000));
    prune(vault, options, clock, random, cancel);
  }
  EXPECT_FALSE(store.stat(pack));
  EXPECT_TRUE(verify_all().good());
}

TEST_P(ProofTest, WhatWasDamagedIsReadAgainUntilItIsWhole) {
  const auto content = noise(100'000, 5);
  take_point(content);
  auto name = objects_of(store, "packs/").at(0).name;
  const auto whole = *store.get(name);
  damage_chunk(sha256(content));
  VerifyOptions options;
  EXPECT_TRUE(verify(vault, options, cancel).good());  // nothing is read
  options.damaged = {name, "packs/20260101T000000000Z-0123456789abcdef"};
  auto report = verify(vault, options, cancel);
  EXPECT_FALSE(report.good());
  EXPECT_EQ(report.damaged, std::set<std::string>{name});
  EXPECT_EQ(report.settled, std::set<std::string>{options.damaged[1]});  // it is gone
  store.put(name, whole);
  report = verify(vault, options, cancel);
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.settled.size(), 2u);
}

// A summary tells what its footer would: it is not read unless something is wrong.
TEST_P(ProofTest, AnObjectOfTheLogbookThatWasCutIsFound) {
  const std::string log = "postgres/7301/00000001";
  LogbookOptions options;
  options.flush_interval = std::chrono::hours(1);
  LogbookWriter writer(vault, options, clock, random);
  for (int i = 0; i < 3; ++i) {
    writer.append(extent(log, i * 40, i * 40 + 40), wal(i * 40, i * 40 + 40), cancel);
    writer.flush(cancel);
  }
  writer.close(cancel);
  KeeperOptions eager;
  eager.summarize_objects = 1;
  LogbookKeeper(vault, eager, {}, clock, random).keep({}, cancel);
  RecoveryPoint point;
  point.id = make_point_id(clock, random);
  point.stores = {{"postgres", {{"logs", {{{"log", log}, {"position", 30}, {"until", 50}}}}}}};
  write_point(vault, point);
  EXPECT_TRUE(verify_all(Depth::existence).good());
  auto cut = objects_of(store, "logbook/").at(1).name;
  store.put(cut, store.get(cut)->substr(0, 50));
  auto report = verify_all(Depth::existence);
  ASSERT_FALSE(report.good());
  EXPECT_EQ(report.damages[0].object, cut);
  EXPECT_EQ(report.damages[0].kind, "logbook");
  EXPECT_EQ(report.damaged, std::set<std::string>{cut});
}

TEST_P(ProofTest, SamplesReadAllInTheEnd) {
  for (int i = 0; i < 12; ++i) take_point(noise(20'000, i));
  const auto packs = objects_of(store, "packs/").size();
  ASSERT_GE(packs, 12u);
  auto pack = damage_chunk(sha256(noise(20'000, 7)));
  VerifyOptions options;
  options.depth = Depth::sample;
  options.share = Share(100'000);
  options.from.seed = random.next();
  SCOPED_TRACE(options.from.seed);
  bool found = false;
  std::uint64_t bytes = 0;
  for (int run = 0; run < 10; ++run) {
    auto report = verify(vault, options, cancel);
    EXPECT_GE(report.bytes.value * 10, report.total.value);
    EXPECT_LE(report.bytes.value, report.total.value / 3);
    bytes += report.bytes.value;
    found = found || report.damaged.contains(pack);
    options.from = report.next.value();
  }
  EXPECT_TRUE(found) << bytes;
}

LIFEBOAT_ON_BOTH_KINDS(ProofTest);

}  // namespace
}  // namespace lifeboat::vault
