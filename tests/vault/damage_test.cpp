// Every flipped byte and every truncation of every object of a vault is found, and named, by
// verify(), and no reader ever hands out wrong data.
#include <fstream>

#include "store/forwarding_store.hpp"
#include "vault/logbook_keeper.hpp"
#include "vault/pins.hpp"
#include "vault/prune_word.hpp"
#include "vault/pruned_logs.hpp"
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

    write_records(point);
  }

  // A word, a proof, a pin.
  void write_records(const RecoveryPoint& of) {
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
    pin.point = of;
    pin.created = clock.now();
    write_pin(vault, pin);
  }

  // A summary of all objects of the logbook that none tells of.
  void summarize() {
    KeeperOptions options;
    options.summarize_objects = 1;
    options.merge.least = 1000;
    LogbookKeeper(vault, options, {}, clock, random).keep({}, cancel);
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
      for (const auto& listed : list_keys(store, opened.id())) {
        if (!listed.key) return false;
      }
      for (const auto& listed : list_points(opened)) {
        if (!listed.point) return false;
        if (listed.id != point.id) read_older(opened, *listed.point);
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
      for (const auto& log : book.logs()) {
        for (const auto& one : book.extents(log.log)) {
          book.read(log.log, one.base, one.next, [](const ExtentView&) {});
        }
      }
      return book.damaged().empty();
    } catch (const Error& error) {
      const std::set<Code> refused = {Code::corrupt, Code::not_found, Code::denied};
      EXPECT_TRUE(refused.contains(error.code())) << error.what();
      return false;
    }
  }

  static void read_older(const Vault& opened, const RecoveryPoint& older) {
    SnapshotReader reader(opened, snapshots_of(older).at(0));
    EXPECT_EQ(reader.read_small("h"), "another file");
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

// It may be whole: no alarm, and what to do.
TEST_P(DamageTest, ANewerVersionOfEveryObjectIsNamedAndNeitherGoodNorBad) {
  const std::set<std::string> needed = {"points", "packs", "snapshots", "logbook"};
  for (const auto& info : objects_of(store)) {
    SCOPED_TRACE(info.name);
    const auto good = *store.get(info.name);
    store.put(info.name, as_newer_version(info.name, good));
    for (auto depth : {Depth::existence, Depth::data}) {
      auto report = verify_all(depth);
      EXPECT_TRUE(report.good()) << report.damages.at(0).problem;
      EXPECT_FALSE(report.stopped);
      EXPECT_TRUE(report.damaged.empty());
      EXPECT_FALSE(report.unread.empty());
      for (const auto& told : report.unread) {  // of a pack also what was looked for in it
        EXPECT_NE(
            told.find(info.name + ": written by a newer Lifeboat: format 2; this one reads 1"),
            std::string::npos)
            << told;
        EXPECT_NE(told.find("install the Lifeboat that wrote it"), std::string::npos) << told;
      }
      ASSERT_EQ(report.results.size(), 1u);
      EXPECT_EQ(report.results[0].verdict == Verdict::could_not_verify,
                needed.contains(info.name.substr(0, info.name.find('/'))));
    }
    store.put(info.name, good);
  }
}

TEST_P(DamageTest, ADamagedFooterOfTheLogbookSaysWhatItCosts) {
  const auto objects = objects_of(store, "logbook/");
  for (bool with_summary : {false, true}) {
    if (with_summary) {
      summarize();
      ASSERT_FALSE(objects_of(store, "index/").empty());
    }
    const auto whole = *store.get(objects.front().name);
    store.put(objects.front().name, whole.substr(0, whole.size() - 30));
    for (auto depth : {Depth::existence, Depth::data}) {
      auto report = verify_all(depth);
      EXPECT_EQ(report.results.at(0).verdict, Verdict::failed);
      bool told = false;
      for (const auto& damage : report.damages) {
        EXPECT_EQ(damage.hint.find("run lifeboat verify"), std::string::npos) << damage.hint;
        if (damage.object != objects.front().name) continue;
        told = true;
        EXPECT_EQ(damage.points, std::set<std::string>{point.id}) << damage.problem << damage.hint;
        EXPECT_NE(damage.hint.find("replica"), std::string::npos) << damage.hint;
        EXPECT_NE(damage.hint.find("lifeboat backup"), std::string::npos) << damage.hint;
      }
      EXPECT_TRUE(told);
    }
    store.put(objects.front().name, whole);
  }
}

// Nobody lacks what only it held of a log's end.
TEST_P(DamageTest, ALostEndOfALogIsNotCalledNothing) {
  LogbookWriter writer(vault, {}, clock, random);
  writer.append(extent("another/log", 0, 4), wal(0, 4), cancel);
  writer.close(cancel);
  const auto name = objects_of(store, "logbook/").back().name;
  const auto whole = *store.get(name);
  store.put(name, whole.substr(0, whole.size() - 30));
  auto report = verify_all();
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].object, name);
  EXPECT_EQ(report.damages[0].hint.find("nothing is lost"), std::string::npos);
  EXPECT_NE(report.damages[0].hint.find("end of a log may be lost"), std::string::npos);
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

TEST_P(DamageTest, OfAPointThatCannotBeReadItIsNotKnownWhichRangesItNeeds) {
  auto flip = [&](const std::string& name, std::size_t at) {
    auto bytes = *store.get(name);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    store.put(name, bytes);
  };
  auto book = objects_of(store, "logbook/").at(0).name;
  const auto whole = *store.get(point_name(point.id));
  flip(book, kHeaderSize + 3);
  flip(point_name(point.id), kHeaderSize + 3);
  auto told = [&](const VerifyReport& report) {
    for (const auto& damage : report.damages) {
      if (damage.object == book) return damage;
    }
    ADD_FAILURE() << book << " was not named";
    return Damage();
  };
  auto damage = told(verify_all());
  EXPECT_TRUE(damage.points.empty());
  EXPECT_EQ(damage.unknown, std::set<std::string>{point.id});
  EXPECT_EQ(damage.hint.find("nothing is lost"), std::string::npos) << damage.hint;
  EXPECT_NE(damage.hint.find("not known whether point " + point.id), std::string::npos);
  store.put(point_name(point.id), whole);
  damage = told(verify_all());
  EXPECT_EQ(damage.points, std::set<std::string>{point.id});
  EXPECT_TRUE(damage.unknown.empty());
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

// With two objects at least of each type that docs/format.md knows, but for the one root.
struct EveryTypeTest : DamageTest {
  std::set<std::string> summarized;  // objects of the logbook

  void SetUp() override {
    clock.advance(Millis(-1000));
    write_older_point();
    clock.advance(Millis(1000));
    DamageTest::SetUp();
    summarize();
    write_log("kafka/c/t/y/0");
    summarize();
    for (const auto& info : objects_of(store, "logbook/")) summarized.insert(info.name);
    write_log("kafka/c/t/z/0");
    for (const char* log : {"kafka/c/t/gone/0", "kafka/c/t/gone/1"}) {
      PrunedLogs pruned;
      pruned.narrow({log}, {{Position(7), kLastPosition}});
      write_pruned(vault, make_word_id(clock, random), pruned);
    }
    write_records(point);
    if (vault.encrypted()) add_key(store, *vault.sealing(), key_file('2'), "", clock);
  }

  void write_older_point() {
    SnapshotWriter tree(vault, "postgres-base");
    tree.add_file("h", 0600, Timestamp(1), "another file");
    RecoveryPoint older;
    older.id = make_point_id(clock, random);
    older.stores = {{"postgres", {{"snapshot", tree.finish({{"lsn", "0/0"}}).hex()}}}};
    write_point(vault, older);
  }

  void write_log(const std::string& log) {
    LogbookWriter writer(vault, {}, clock, random);
    writer.append(extent(log, 0, 10), noise(10, random.next()), cancel);
    writer.close(cancel);
  }

  static std::string type_of(const std::string& name) { return name.substr(0, name.find('/')); }

  // The table in docs/format.md.
  std::set<std::string> documented_types() const {
    std::ifstream page(std::string(LIFEBOAT_SOURCE_DIR) + "/docs/format.md");
    std::set<std::string> out;
    for (std::string line; std::getline(page, line) && !line.starts_with("## ");) {
      if (line.starts_with("| `")) out.insert(line.substr(3, line.find_first_of("/`", 3) - 3));
    }
    if (!vault.encrypted()) out.erase("keys");
    return out;
  }

  // One of each type; of the logbook one that a summary tells of, and one that none does.
  std::vector<std::string> one_of_each() {
    std::set<std::string> seen;
    std::vector<std::string> out;
    for (const auto& info : objects_of(store)) {
      const auto told = summarized.contains(info.name) ? ", summarized" : "";
      if (seen.insert(type_of(info.name) + told).second) out.push_back(info.name);
    }
    return out;
  }

  // Who reads a chunk or an extent does not look at all the rest of its object: what it gets is
  // right, as read_everything() has seen.
  bool may_be_read_in_part(const std::string& name) const {
    return type_of(name) == "packs" || summarized.contains(name);
  }
};

TEST_P(EveryTypeTest, IsThereTwice) {
  std::map<std::string, int> types;
  for (const auto& info : objects_of(store)) ++types[type_of(info.name)];
  std::set<std::string> found;
  for (const auto& [type, count] : types) {
    found.insert(type);
    EXPECT_GE(count, type == "vault" ? 1 : 2) << type;
  }
  EXPECT_EQ(found, documented_types());
  EXPECT_TRUE(read_everything());
  EXPECT_TRUE(verify_all().good());
}

TEST_P(EveryTypeTest, EveryFlippedByteIsFoundAndNamed) {
  for (const auto& name : one_of_each()) {
    const auto good = *store.get(name);
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << random.below(8)));
      store.put(name, bad);
      expect_named(name, "byte " + std::to_string(i));
      EXPECT_FALSE(read_everything() && !may_be_read_in_part(name)) << name << " " << i;
    }
    store.put(name, good);
  }
  EXPECT_TRUE(verify_all().good());
}

TEST_P(EveryTypeTest, EveryTruncationIsFoundAndNamed) {
  for (const auto& name : one_of_each()) {
    const auto good = *store.get(name);
    for (std::size_t length = 0; length < good.size(); ++length) {
      store.put(name, good.substr(0, length));
      expect_named(name, "length " + std::to_string(length));
      EXPECT_FALSE(read_everything() && !may_be_read_in_part(name)) << name << " cut to " << length;
    }
    store.put(name, good + '\0');
    expect_named(name, "a byte too many");
    store.put(name, good);
  }
}

TEST_P(EveryTypeTest, EachInThePlaceOfAnotherIsNamed) {
  const auto objects = objects_of(store);
  for (const auto& a : objects) {
    for (const auto& b : objects) {
      if (a.name == b.name) continue;
      const auto good = *store.get(a.name);
      store.put(a.name, *store.get(b.name));
      expect_named(a.name, "the content of " + b.name);
      EXPECT_FALSE(read_everything()) << a.name << " has the content of " << b.name;
      store.put(a.name, good);
    }
  }
}

LIFEBOAT_ON_BOTH_KINDS(DamageTest);
LIFEBOAT_ON_BOTH_KINDS(EveryTypeTest);

}  // namespace
}  // namespace lifeboat::vault
