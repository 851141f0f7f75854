// A vault whose root object is gone while the rest is there.
#include "vault/lost_root.hpp"

#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

struct LostRootTest : VaultTest {
  const std::string root = *store.get("vault");

  // A pack, a snapshot, a point that needs both, an object of the logbook.
  SnapshotId fill() {
    SnapshotWriter writer(vault, "files");
    writer.add_file("file", 0600, Timestamp(0), "content");
    auto id = writer.finish({});
    LogbookWriter book(vault, {}, clock, random);
    book.append(extent("log", 0, 4), wal(0, 4), cancel);
    book.close(cancel);
    RecoveryPoint point;
    point.id = "20261122T170506123Z-aaaa";
    point.created = point.finished = clock.now();
    point.stores = {{"files", {{"snapshot", id.hex()}}}};
    write_point(vault, point);
    return id;
  }
  Error refused(const std::function<void()>& f) {
    const auto before = objects_of(store).size();
    auto error = error_of(f);
    EXPECT_EQ(error.code(), Code::corrupt) << error.what();
    EXPECT_NE(error.message().find("root object `vault` is lost"), std::string::npos);
    EXPECT_NE(error.hint().find("replica"), std::string::npos);
    EXPECT_EQ(error.hint().find("make one"), std::string::npos);
    EXPECT_EQ(objects_of(store).size(), before) << "something was written";
    return error;
  }
};
LIFEBOAT_ON_BOTH_KINDS(LostRootTest);

TEST_P(LostRootTest, NoOtherVaultIsMadeOverIt) {
  fill();
  store.remove("vault");
  const auto key = key_file();
  refused([&] { open(store); });
  refused([&] { Vault::create(store, clock, random); });
  refused([&] { Vault::create(store, clock, random, key, ""); });
  store.put("vault", root);
  EXPECT_TRUE(verify(open(store), {}, cancel).good());
}

TEST_P(LostRootTest, AnyObjectIsEnough) {
  fill();
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& info : objects_of(store)) all.emplace_back(info.name, *store.get(info.name));
  for (const auto& name : {"pins/a", "prune/a", "proofs/a", "pruned/a", "index/a/0"}) {
    all.emplace_back(name, "whatever it holds");
  }
  for (const auto& [name, bytes] : all) {
    if (name == "vault" || name.starts_with(kKeyPrefix)) continue;
    MemoryStore one;
    one.put(name, bytes);
    auto error = error_of([&] { Vault::create(one, clock, random); });
    EXPECT_EQ(error.code(), Code::corrupt) << name;
    EXPECT_NE(error.message().find(name), std::string::npos) << error.message();
  }
}

// As `init` was cut short, or another one is about to write its root.
TEST_P(LostRootTest, KeysAndWhatTheStoreNotesOfItselfAreNoContent) {
  MemoryStore empty;
  empty.put("capabilities", "{}");
  empty.put("probe/1", "");
  empty.put("keys/0123456789abcdef", "");
  EXPECT_EQ(error_of([&] { Vault::open(empty); }).code(), Code::not_found);
  EXPECT_NO_THROW(make_vault(GetParam(), empty, clock, random));
}

// All that was there is read as before, also by the recovery sheet and by keys that were added.
TEST_P(LostRootTest, IsWrittenAnew) {
  const auto id = fill();
  std::optional<KeyMaterial> sheet;
  if (vault.encrypted()) {
    add_key(store, *vault.sealing(), key_file('2'), "", clock);
    sheet = KeyMaterial{KeyMaterial::Kind::vault_key, vault.sealing()->vault_key().copy(), "sheet"};
  }
  for (char seed : {'k', '2', 's'}) {
    store.remove("vault");
    auto material = key_file(seed);
    const auto* key = seed == 's' && sheet ? &*sheet : &material;
    auto found = recover_root(store, clock, random, vault.encrypted() ? key : nullptr);
    EXPECT_EQ(found.encrypted(), vault.encrypted());
    EXPECT_EQ(found.id() == vault.id(), vault.encrypted());
    auto again = open(store);
    EXPECT_TRUE(verify(again, {}, cancel).good());
    EXPECT_EQ(SnapshotReader(again, id).read_small("file"), "content");
    if (sheet) Vault::open(store, &*sheet);
  }
}

TEST_P(LostRootTest, IsNotWrittenByTheWrongKeyOrNone) {
  fill();
  EXPECT_EQ(error_of([&] { recover_root(store, clock, random, nullptr); }).code(), Code::refused);
  store.remove("vault");
  auto wrong = key_file('w');
  std::vector<const KeyMaterial*> all = {&wrong};
  if (vault.encrypted()) all.push_back(nullptr);
  // Who wrote what lies there: not the one whose keys came from elsewhere.
  auto first = key_file();
  MemoryStore elsewhere;
  auto other = Vault::create(elsewhere, clock, random, first, "");
  if (!vault.encrypted()) {
    auto name = "keys/" + other.opened_by();
    store.put(name, *elsewhere.get(name));
    all = {&wrong, &first, nullptr};
  }
  for (const auto* key : all) {
    EXPECT_EQ(error_of([&] { recover_root(store, clock, random, key); }).code(), Code::denied);
    EXPECT_FALSE(Vault::exists(store));
  }
  // An encrypted one that has lost its keys too is no plain one.
  for (const auto& key : objects_of(store, "keys/")) store.remove(key.name);
  EXPECT_EQ(error_of([&] { recover_root(store, clock, random, &first); }).code(), Code::denied);
  if (!vault.encrypted()) return;
  EXPECT_EQ(error_of([&] { recover_root(store, clock, random, nullptr); }).code(), Code::denied);
}

TEST_P(LostRootTest, DamagedObjectsSayNothingOfIt) {
  fill();
  store.remove("vault");
  for (const auto& info : objects_of(store, "points/")) store.put(info.name, "damaged");
  auto key = key_file();
  EXPECT_EQ(recover_root(store, clock, random, vault.encrypted() ? &key : nullptr).encrypted(),
            vault.encrypted());
  MemoryStore nothing;
  EXPECT_EQ(error_of([&] { recover_root(nothing, clock, random, nullptr); }).code(),
            Code::not_found);
  nothing.put("points/a", "damaged");
  EXPECT_EQ(error_of([&] { recover_root(nothing, clock, random, nullptr); }).code(), Code::corrupt);
}

// Each kind of object tells by itself whose it is.
TEST_P(LostRootTest, FromAnyObject) {
  fill();
  const auto key = key_file();
  for (const auto& info : objects_of(store)) {
    if (info.name == "vault" || info.name.starts_with(kKeyPrefix)) continue;
    MemoryStore one;
    for (const auto& kept : objects_of(store, std::string(kKeyPrefix))) {
      one.put(kept.name, *store.get(kept.name));
    }
    one.put(info.name, *store.get(info.name));
    EXPECT_NO_THROW(recover_root(one, clock, random, vault.encrypted() ? &key : nullptr))
        << info.name;
  }
}

}  // namespace
}  // namespace lifeboat::vault
