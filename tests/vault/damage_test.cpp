// Every flipped byte and every truncation of every object of a vault is found, and named, by
// verify(), and no reader ever hands out wrong data.
#include "store/forwarding_store.hpp"
#include "vault/pins.hpp"
#include "vault/prune_word.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

const std::string kLog = "postgres/7301/00000001";

struct DamageTest : VaultTest {
  RecoveryPoint point;
  SnapshotId snapshot;

  void SetUp() override {
    LogbookOptions options;
    options.flush_interval = std::chrono::hours(1);
    LogbookWriter writer(vault, options, clock, random);
    writer.append(extent(kLog, 0, 40), wal(0, 40), cancel);
    writer.append({{"kafka/c/t/x/0"}, Position(5), Position(9), {}, {}, "{}"},
                  std::string(300, 'k'), cancel);  // compressed
    writer.gap({{"kafka/c/t/x/0"}, Position(0), Position(5), "retention"});
    writer.flush(cancel);
    writer.append(extent(kLog, 40, 60), wal(40, 60), cancel);
    writer.close(cancel);

    SnapshotWriter tree(vault, "postgres-base");
    tree.add_directory("d", 0700);
    tree.add_file("d/f", 0600, Timestamp(1), "a small file");
    tree.add_file("d/g", 0600, Timestamp(1), std::string(200, 'g'));
    snapshot = tree.finish({{"lsn", "0/0"}});

    point.id = make_point_id(clock, random);
    point.stores = {{"postgres",
                     {{"snapshot", snapshot.hex()},
                      {"logs", {{{"log", kLog}, {"position", 10}, {"until", 50}}}}}}};
    write_point(vault, point);

    PruneWord word;
    word.id = make_word_id(clock, random);
    word.created = clock.now();
    word.packs = {"packs/20261122T170506123Z-0000000000000000"};
    write_word(vault, word);

    Proof proof;
    proof.id = make_proof_id(clock, random);
    proof.damaged = {"packs/20261122T170506123Z-0000000000000000"};
    write_proof(vault, proof);

    Pin pin;
    pin.id = make_pin_id(clock, random);
    pin.point = point;
    pin.created = clock.now();
    write_pin(vault, pin);
  }

  // Reads all that the vault holds, and compares it. False when a reader refused; a test failure
  // when one gave other data than was written.
  bool read_everything() {
    try {
      Vault opened = open(store);
      for (const auto& listed : list_words(opened)) {
        if (!listed.word) return false;
        EXPECT_EQ(listed.word->packs.size(), 1u);
      }
      for (const auto& listed : list_proofs(opened)) {
        if (!listed.proof) return false;
        EXPECT_EQ(listed.proof->damaged.size(), 1u);
      }
      for (const auto& listed : list_pins(opened)) {
        if (!listed.pin) return false;
        EXPECT_EQ(listed.pin->point.stores, point.stores);
      }
      auto found = resolve_point(opened, "latest");
      EXPECT_EQ(found.stores, point.stores);
      SnapshotReader reader(opened, snapshots_of(found).at(0));
      EXPECT_EQ(reader.meta().at("lsn"), "0/0");
      EXPECT_EQ(reader.read_small("d/f"), "a small file");
      EXPECT_EQ(reader.read_small("d/g"), std::string(200, 'g'));
      auto book = Logbook::load(opened);
      EXPECT_EQ(book.read_bytes({kLog}, Position(0), Position(60)), wal(0, 60));
      book.read({"kafka/c/t/x/0"}, Position(5), Position(9),
                [](const ExtentView& view) { EXPECT_EQ(view.bytes, std::string(300, 'k')); });
      return true;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::corrupt || error.code() == Code::not_found) << error.what();
      return false;
    }
  }

  void expect_named(const std::string& name, const std::string& what) {
    auto report = verify_all();
    bool named = false;
    for (const auto& damage : report.damages) {
      if (damage.object != name) continue;
      named = true;
      EXPECT_FALSE(damage.kind.empty());
      EXPECT_FALSE(damage.problem.empty());
      EXPECT_FALSE(damage.hint.empty()) << damage.object << ": " << damage.problem;
    }
    EXPECT_TRUE(named) << what << " of " << name << " was not named";
  }
};

TEST_P(DamageTest, AGoodVaultIsGood) {
  VerifyReport report;
  for (auto depth : {Depth::existence, Depth::data}) {
    report = verify_all(depth);
    for (const auto& damage : report.damages) ADD_FAILURE() << damage.object << damage.problem;
    EXPECT_TRUE(report.good());
    EXPECT_EQ(report.points, 1u);
    EXPECT_GT(report.objects, 6u);
    ASSERT_EQ(report.results.size(), 1u);
    EXPECT_EQ(report.results[0].verdict, Verdict::verified);
    EXPECT_EQ(report.bytes, depth == Depth::data ? report.total : ByteCount(0));
  }
  EXPECT_TRUE(read_everything());
  VerifyOptions options;
  options.point = point.id;
  options.depth = Depth::data;
  report = verify(vault, options, cancel);
  EXPECT_TRUE(report.good());
  EXPECT_GT(report.bytes.value, 0u);
}

TEST_P(DamageTest, EveryFlippedByteOfEveryObjectIsFoundAndNamed) {
  std::set<std::string> kinds;
  for (const auto& info : objects_of(store)) {
    const auto good = *store.get(info.name);
    kinds.insert(info.name.substr(0, info.name.find('/')));
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << random.below(8)));
      store.put(info.name, bad);
      expect_named(info.name, "byte " + std::to_string(i));
      // A chunk may be the same for another sequence of compressed bytes.
      EXPECT_FALSE(read_everything() && !info.name.starts_with("packs/")) << info.name << " " << i;
    }
    store.put(info.name, good);
  }
  std::set<std::string> all = {"vault",  "packs", "snapshots", "logbook",
                               "points", "prune", "proofs",    "pins"};
  if (vault.encrypted()) all.insert("keys");
  EXPECT_EQ(kinds, all);
  EXPECT_TRUE(verify_all().good());
}

TEST_P(DamageTest, EveryTruncationOfEveryObjectIsFoundAndNamed) {
  for (const auto& info : objects_of(store)) {
    const auto good = *store.get(info.name);
    for (std::size_t length = 0; length < good.size(); ++length) {
      store.put(info.name, good.substr(0, length));
      expect_named(info.name, "length " + std::to_string(length));
      EXPECT_FALSE(read_everything()) << info.name << " cut to " << length;
    }
    store.put(info.name, good + '\0');
    expect_named(info.name, "a byte too many");
    store.put(info.name, good);
  }
}

TEST_P(DamageTest, EveryMissingObjectThatIsNeededIsNamed) {
  auto logbook_objects = objects_of(store, "logbook/");
  for (const auto& info : objects_of(store)) {
    const auto good = *store.get(info.name);
    store.remove(info.name);
    auto report = verify_all(Depth::existence);
    if (info.name == point_name(point.id) || info.name.starts_with("prune/") ||
        info.name.starts_with("proofs/") || info.name.starts_with("pins/")) {
      EXPECT_TRUE(report.good());  // a point that is not there is no point
    } else if (info.name == logbook_objects.back().name) {
      ASSERT_FALSE(report.good());  // the point needs a range of it
      EXPECT_EQ(report.damages[0].kind, "range");
      EXPECT_EQ(report.damages[0].object, kLog + " [40, 50)");
      EXPECT_EQ(report.damages[0].hits, std::vector<std::string>{"log " + kLog + " [40, 50)"});
      EXPECT_EQ(report.damages[0].points, std::set<std::string>{point.id});
    } else if (info.name.starts_with("packs/")) {
      ASSERT_FALSE(report.good());
      EXPECT_EQ(report.damages[0].kind, "chunk");
      EXPECT_EQ(report.damages[0].code, Code::not_found);
      EXPECT_EQ(report.damages[0].object, snapshot_name(vault, snapshot));
      EXPECT_EQ(report.damages[0].points, std::set<std::string>{point.id});
    } else {
      EXPECT_FALSE(report.good()) << info.name;
      bool named = false;
      for (const auto& damage : report.damages) {
        const auto code = info.name == "vault" ? Code::corrupt : Code::not_found;
        named = named || (damage.object == info.name && damage.code == code);
      }
      EXPECT_TRUE(named) << info.name;
    }
    store.put(info.name, good);
  }
}

TEST_P(DamageTest, SwappedObjectsAreNamed) {
  auto objects = objects_of(store);
  for (const auto& a : objects) {
    for (const auto& b : objects) {
      if (a.name == b.name) continue;
      const auto good = *store.get(a.name);
      store.put(a.name, *store.get(b.name));
      expect_named(a.name, "the content of " + b.name);
      EXPECT_FALSE(read_everything());
      store.put(a.name, good);
    }
  }
}

TEST_P(DamageTest, ANewerVersionOfEveryObjectIsRefusedByName) {
  for (const auto& info : objects_of(store)) {
    const auto good = *store.get(info.name);
    store.put(info.name, as_newer_version(info.name, good));
    for (auto depth : {Depth::existence, Depth::data}) {
      auto report = verify_all(depth);
      bool named = false;
      for (const auto& damage : report.damages) {
        if (damage.object != info.name || damage.code != Code::unsupported) continue;
        named = true;
        EXPECT_EQ(damage.problem, "written by a newer Lifeboat: format 2; this one reads 1");
      }
      EXPECT_TRUE(named) << info.name;
    }
    store.put(info.name, good);
  }
}

TEST_P(DamageTest, DamageSaysWhichPointsItHits) {
  auto page = SnapshotReader(vault, snapshot).pages().at(0).digest;
  auto good = objects_of(store, "packs/").at(0).name;
  const auto bytes = *store.get(good);
  auto pack = damage_chunk(sha256("a small file"));
  auto report = verify_all();
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].kind, "pack");
  EXPECT_EQ(report.damages[0].object, pack);
  std::string whose = "point " + point.id + " snapshot " + snapshot.hex() + " (postgres-base)";
  EXPECT_EQ(report.damages[0].points, std::set<std::string>{point.id});
  EXPECT_NE(report.damages[0].hint.find("lifeboat prune --drop " + point.id), std::string::npos);
  EXPECT_EQ(report.damaged, std::set<std::string>{pack});
  EXPECT_EQ(report.damages[0].hits, std::vector<std::string>{whose + " file d/f"});

  VerifyOptions options;
  options.point = point.id;
  options.depth = Depth::data;
  EXPECT_EQ(verify(vault, options, cancel).damages.size(), 1u);
  options.depth = Depth::existence;
  EXPECT_TRUE(verify(vault, options, cancel).good());  // it is there; what it holds is not asked
  options.damaged = {pack};                            // but for what is known to be damaged
  EXPECT_EQ(verify(vault, options, cancel).results.at(0).verdict, Verdict::failed);
  options.damaged = {};
  store.put(good, bytes);
  damage_chunk(page);
  report = verify(vault, options, cancel);
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].object, pack);
  EXPECT_EQ(report.damages[0].hits, std::vector<std::string>{whose + " list of entries"});
}

TEST_P(DamageTest, DamagedExtentsNameTheirRangesAndPoints) {
  auto info = objects_of(store, "logbook/").at(0);
  auto bytes = *store.get(info.name);
  bytes[kHeaderSize + 3] ^= 1;
  store.put(info.name, bytes);
  auto report = verify_all();
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].object, info.name);
  EXPECT_EQ(report.damages[0].kind, "logbook");
  EXPECT_EQ(report.damages[0].hits,
            (std::vector<std::string>{"log " + kLog + " [0, 40)", "point " + point.id}));
  EXPECT_EQ(report.damages[0].points, std::set<std::string>{point.id});
  VerifyOptions options;
  options.point = point.id;
  options.depth = Depth::data;
  report = verify(vault, options, cancel);
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].object, info.name);
}

TEST_P(DamageTest, ForeignNamesAreToldOf) {
  store.put("packs/nonsense", "x");
  store.put("snapshots/nonsense", "x");
  store.put("logbook/nonsense", "x");
  EXPECT_EQ(verify_all().damages.size(), 3u);
}

TEST_P(DamageTest, VerifyStopsWhenAsked) {
  cancel.request();
  EXPECT_EQ(error_of([&] { verify_all(); }).code(), Code::cancelled);
}

// A listing takes its time: what is written meanwhile may not be in it.
TEST_P(DamageTest, WhatCameWhileTheLogbookWasListedIsNotMissing) {
  class Slow : public store::ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    void list(const std::string& prefix,
              const std::function<void(const ObjectInfo&)>& visit) override {
      if (!prefix.starts_with("logbook/")) return ForwardingStore::list(prefix, visit);
      auto all = objects_of(inner(), prefix);
      if (listed++ < hidden) all.pop_back();
      for (const auto& info : all) visit(info);
    }
    int hidden = 0;  // from so many listings of the logbook, its last object
    int listed = 0;
  };
  Slow slow(store);
  auto found = [&](int hidden) {
    slow.hidden = hidden;
    slow.listed = 0;
    return verify(open(slow), {}, cancel).damages.size();
  };
  EXPECT_EQ(found(0), 0u);
  EXPECT_EQ(found(slow.listed), 0u);  // it is there when it is looked for once more
  EXPECT_EQ(found(1'000), 1u);
}

LIFEBOAT_ON_BOTH_KINDS(DamageTest);

}  // namespace
}  // namespace lifeboat::vault
