// One pack whose footer is damaged, or that the store does not give: what verify says of it, and
// that backup, restore and prune go on with the rest.
#include "store/fault_store.hpp"
#include "vault/prune.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

using store::Fault;
using store::FaultStore;

constexpr Millis kGrace{86'400'000};

struct UnreadablePackTest : VaultTest {
  FaultStore faulty{store, 1, FaultStore::Weather{{}, 1, 0}};
  Vault seen = open(faulty);  // as who meets the faults sees it
  std::string pack;           // holds nothing but the content of "a"
  std::string with_a, without_a;

  void SetUp() override {
    put("content of a");
    pack = objects_of(store, "packs/").at(0).name;
    put("content of b");
    with_a = point_with({"a", "b"});
    without_a = point_with({"b"});
  }

  ChunkOptions options_now() {
    ChunkOptions options;
    options.clock = &clock;  // prune leaves alone what is young by its name
    options.seed = random.next();
    return options;
  }

  void put(const std::string& content) {
    Chunks chunks(vault, options_now());
    chunks.put(content);
    chunks.flush();
    clock.advance(Millis(1000));
  }

  std::string point_with(const std::vector<std::string>& files) {
    RecoveryPoint point;
    point.id = make_point_id(clock, random);
    point.created = clock.now();
    Chunks chunks(vault, options_now());
    SnapshotWriter tree(chunks, "test");
    for (const auto& file : files) tree.add_file(file, 0600, Timestamp(0), "content of " + file);
    auto id = tree.finish({{"point", point.id}});
    point.stores["store"] = {{"snapshot", id.hex()}};
    write_point(vault, point);
    clock.advance(Millis(1000));
    return point.id;
  }

  VerifyReport verify_seen(Depth depth = Depth::existence,
                           const std::optional<std::string>& point = {}) {
    VerifyOptions options;
    options.depth = depth;
    options.point = point;
    return verify(seen, options, cancel);
  }

  static PointResult result_of(const VerifyReport& report, const std::string& point) {
    for (const auto& one : report.results) {
      if (one.id == point) return one;
    }
    ADD_FAILURE() << "no result of " << point;
    return {};
  }

  std::string read(const std::string& point, const std::string& path) {
    auto found = resolve_point(seen, point);
    return SnapshotReader(seen, snapshots_of(found).at(0)).read_small(path).value();
  }

  // As a backup does it: what is missing is stored.
  std::uint64_t store_anew() {
    Chunks chunks(seen, options_now());
    chunks.put("content of a");
    chunks.put("content of b");
    chunks.flush();
    return chunks.stats().new_chunks;
  }

  void prune_all(unsigned last) {
    PruneOptions options;
    options.policy.last = last;
    options.grace = kGrace;
    options.host = "pruner";
    for (int i = 0; i < 4; ++i) {
      clock.advance(2 * kGrace);
      prune(seen, options, clock, random, cancel);
    }
  }

  void expect_that_the_rest_goes_on() {
    EXPECT_EQ(read(without_a, "b"), "content of b");
    EXPECT_EQ(read(with_a, "b"), "content of b");
    auto error = error_of([&] { read(with_a, "a"); });
    EXPECT_NE(std::string(error.what()).find(pack), std::string::npos) << error.what();
    put("nobody needs this");
    const auto unneeded = objects_of(store, "packs/").back().name;
    prune_all(2);
    EXPECT_FALSE(store.stat(unneeded)) << "prune left what nobody needs";
    EXPECT_TRUE(store.stat(pack)) << "a point lacks what may lie in it";
  }
};

TEST_P(UnreadablePackTest, ADamagedFooterCostsWhatNoOtherPackHas) {
  const auto whole = store.get(pack).value();
  auto flipped = whole;
  flipped[flipped.size() - 40] = static_cast<char>(flipped[flipped.size() - 40] ^ 1);
  for (const auto& bytes : {flipped, whole.substr(0, whole.size() / 2), std::string()}) {
    SCOPED_TRACE(std::to_string(bytes.size()) + " bytes of " + std::to_string(whole.size()));
    store.put(pack, bytes);
    for (auto depth : {Depth::existence, Depth::data}) {
      for (const auto& only :
           {std::optional<std::string>(), std::optional(with_a), std::optional(without_a)}) {
        auto report = verify_seen(depth, only);
        ASSERT_EQ(report.damages.size(), 1u);
        const auto& damage = report.damages[0];
        EXPECT_EQ(damage.object, pack);
        EXPECT_EQ(damage.kind, "pack");
        EXPECT_EQ(damage.points, std::set<std::string>{with_a});
        ASSERT_EQ(damage.hits.size(), 1u);
        EXPECT_TRUE(damage.hits[0].ends_with("file a")) << damage.hits[0];
        EXPECT_NE(damage.hint.find("lifeboat backup"), std::string::npos) << damage.hint;
        EXPECT_TRUE(report.unread.empty());
        EXPECT_EQ(report.damaged, std::set<std::string>{pack});
        EXPECT_EQ(result_of(report, with_a).verdict, Verdict::failed);
        if (only == with_a) continue;
        EXPECT_EQ(result_of(report, without_a).verdict, Verdict::verified);
      }
    }
    expect_that_the_rest_goes_on();
  }
  EXPECT_EQ(store_anew(), 1u);
  auto healed = verify_seen(Depth::data);
  ASSERT_EQ(healed.damages.size(), 1u);
  EXPECT_TRUE(healed.damages[0].points.empty());
  EXPECT_NE(healed.damages[0].hint.find("nothing is lost"), std::string::npos);
  EXPECT_EQ(result_of(healed, with_a).verdict, Verdict::verified);
  EXPECT_EQ(read(with_a, "a"), "content of a");
  prune_all(2);
  EXPECT_FALSE(store.stat(pack)) << "nobody can use it any more";
  EXPECT_TRUE(verify_seen(Depth::data).good());
}

// Whoever reads "nothing is lost" throws the pack away.
TEST_P(UnreadablePackTest, OfAPointThatCannotBeWalkedItIsNotKnownWhatItNeeds) {
  auto flip = [&](const std::string& name, std::size_t at) {
    auto bytes = store.get(name).value();
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    store.put(name, bytes);
    return name;
  };
  const auto whole = store.get(pack).value();
  const auto root = snapshots_of(resolve_point(vault, with_a)).at(0);
  const auto page = SnapshotReader(vault, root).pages().at(0).digest;
  const auto list = PackIndex::load(vault, {}, cancel);
  const auto page_pack = list.packs().at(list.find(page).value().pack).name;
  for (const auto& name : {page_pack, point_name(with_a), snapshot_name(vault, root)}) {
    for (auto bad : {std::size_t(24), whole.size() - 40}) {  // a chunk; the footer
      SCOPED_TRACE(name + ", byte " + std::to_string(bad) + " of the pack");
      const auto good = store.get(name).value();
      flip(pack, bad);
      flip(name, 30);
      auto report = verify_seen(Depth::data);
      EXPECT_EQ(result_of(report, with_a).verdict, Verdict::failed);
      EXPECT_EQ(result_of(report, without_a).verdict, Verdict::verified);
      bool told = false;
      for (const auto& damage : report.damages) {
        EXPECT_EQ(damage.hint.find("nothing is lost"), std::string::npos) << damage.object;
        if (damage.object != pack) continue;
        told = true;
        EXPECT_TRUE(damage.points.empty());
        EXPECT_EQ(damage.unknown, std::set<std::string>{with_a});
        EXPECT_NE(damage.hint.find("not known whether point " + with_a), std::string::npos);
        EXPECT_NE(damage.hint.find("lifeboat verify --data"), std::string::npos);
      }
      EXPECT_TRUE(told);
      // When it is healed it is known; when it is gone it needs nothing.
      store.put(name, good);
      report = verify_seen(Depth::data);
      ASSERT_EQ(report.damages.size(), 1u);
      EXPECT_EQ(report.damages[0].points, std::set<std::string>{with_a});
      EXPECT_TRUE(report.damages[0].unknown.empty());
      store.put(pack, whole);
    }
  }
}

TEST_P(UnreadablePackTest, ANewerFooterIsLeftAlone) {
  store.put(pack, as_newer_version(pack, *store.get(pack)));
  auto report = verify_seen();
  EXPECT_TRUE(report.good());
  EXPECT_EQ(result_of(report, with_a).verdict, Verdict::could_not_verify);
  EXPECT_EQ(result_of(report, without_a).verdict, Verdict::verified);
  EXPECT_EQ(store_anew(), 1u);
  prune_all(2);
  EXPECT_TRUE(store.stat(pack));
}

// A codec is in the footer, whose checksums hold: no damage.
TEST_P(UnreadablePackTest, ANewerCodecIsLeftAloneLikewise) {
  PackBuilder newer(pack, vault.sealing());
  newer.add({sha256("content of a"), 12, static_cast<ChunkCodec>(3), "content of a"});
  std::string bytes;
  for (auto part : newer.finish()) bytes += part;
  store.put(pack, bytes);
  auto error = error_of([&] { read(with_a, "a"); });
  EXPECT_EQ(error.code(), Code::unsupported) << error.what();
  EXPECT_NE(std::string(error.what()).find(pack), std::string::npos) << error.what();
  EXPECT_NE(error.hint().find("install the Lifeboat"), std::string::npos) << error.hint();
  EXPECT_EQ(store_anew(), 1u);
  prune_all(2);
  EXPECT_TRUE(store.stat(pack));
}

TEST_P(UnreadablePackTest, APackThatIsNotGivenIsNeitherGoodNorBad) {
  faulty.spoil(pack, Fault::internal_error);
  for (auto depth : {Depth::existence, Depth::data}) {
    auto report = verify_seen(depth);
    EXPECT_TRUE(report.good());
    EXPECT_FALSE(report.stopped);
    ASSERT_EQ(report.unread.size(), 1u);
    EXPECT_NE(report.unread[0].find(pack), std::string::npos) << report.unread[0];
    auto result = result_of(report, with_a);
    EXPECT_EQ(result.verdict, Verdict::could_not_verify);
    EXPECT_NE(result.what.find("file a"), std::string::npos) << result.what;
    EXPECT_EQ(result_of(report, without_a).verdict, Verdict::verified);
  }
  EXPECT_EQ(error_of([&] { read(with_a, "a"); }).code(), Code::unavailable);
  expect_that_the_rest_goes_on();
  EXPECT_EQ(store_anew(), 1u);
  EXPECT_EQ(read(with_a, "a"), "content of a");
  EXPECT_EQ(result_of(verify_seen(), with_a).verdict, Verdict::verified);
  prune_all(2);
  EXPECT_TRUE(store.stat(pack)) << "it may be whole";
}

TEST_P(UnreadablePackTest, APackThatIsNotGivenAfterItsFooterWas) {
  auto without = options_now();
  without.absent = {pack};
  Chunks other(vault, without);
  other.put("content of a");
  other.flush();
  Chunks chunks(seen);
  const ChunkRef ref{sha256("content of a"), ByteCount(12)};
  EXPECT_EQ(chunks.get(ref), "content of a");
  faulty.spoil(pack, Fault::partial_read);
  EXPECT_EQ(chunks.get(ref), "content of a");  // from the other one
  auto coming = chunks.fetch(std::vector{ref}, ByteCount(1 << 20));
  auto opened = chunks.open_later(std::move(coming));
  EXPECT_EQ(opened.at(0).get().bytes, "content of a");
  Chunks alone(vault);
  store.remove(pack);
  EXPECT_EQ(alone.get(ref), "content of a");
}

TEST_P(UnreadablePackTest, AStoreThatIsAwayIsNotAskedForEver) {
  for (int i = 0; i < 100; ++i) put("pack " + std::to_string(i));
  const auto packs = objects_of(store, "packs/");
  for (const auto& info : packs) faulty.spoil(info.name, Fault::busy);
  auto report = verify_seen();
  EXPECT_TRUE(report.stopped);
  EXPECT_TRUE(report.good());
  EXPECT_EQ(result_of(report, without_a).verdict, Verdict::could_not_verify);
  EXPECT_LT(faulty.faults(), packs.size());
  EXPECT_EQ(error_of([&] { store_anew(); }).code(), Code::unavailable);
}

LIFEBOAT_ON_BOTH_KINDS(UnreadablePackTest);

}  // namespace
}  // namespace lifeboat::vault
