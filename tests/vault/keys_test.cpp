// Who can open an encrypted vault, and who cannot.
#include "vault/keys.hpp"

#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

constexpr ScryptCost kCheap{4, 8, 1};

KeyMaterial passphrase(const std::string& text) {
  return {KeyMaterial::Kind::passphrase, Secret(text), "the passphrase of the test"};
}
KeyMaterial recovery(const Vault& vault) {
  return {KeyMaterial::Kind::vault_key, vault.sealing()->vault_key().copy(), "the sheet"};
}

struct KeysTest : ::testing::Test {
  MemoryStore store;
  ManualClock clock{*parse_timestamp("2026-11-22T17:05:06.123Z")};
  Random random{7};
  KeyMaterial first = passphrase("correct horse");
  Vault vault = Vault::create(store, clock, random, first, "at the start", kCheap);

  bool opens(const KeyMaterial& material) {
    try {
      EXPECT_EQ(Vault::open(store, &material).sealing()->vault_key().view(),
                vault.sealing()->vault_key().view());
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::denied) << error.what();
      return false;
    }
  }
  KeyInfo add(const KeyMaterial& material, const std::string& label = "") {
    return add_key(store, *vault.sealing(), material, label, clock, kCheap);
  }
};

TEST_F(KeysTest, EachKeyOpensAndNoOther) {
  auto file = add(key_file('f'), "a file");
  auto second = add(passphrase("battery staple"), "another");
  EXPECT_TRUE(opens(first));
  EXPECT_TRUE(opens(key_file('f')));
  EXPECT_TRUE(opens(passphrase("battery staple")));
  EXPECT_TRUE(opens(recovery(vault)));
  EXPECT_FALSE(opens(passphrase("correct hors")));
  EXPECT_FALSE(opens(passphrase("correct horse ")));
  EXPECT_FALSE(opens(passphrase("")));
  EXPECT_FALSE(opens(key_file('g')));
  EXPECT_FALSE(opens(passphrase(std::string(32, 'f'))));  // a file's bytes as a passphrase
  auto listed = list_keys(store, vault.id());
  ASSERT_EQ(listed.size(), 3u);
  for (const auto& one : listed) ASSERT_TRUE(one.key);
  auto key = key_file('f');
  EXPECT_EQ(Vault::open(store, &key).opened_by(), file.id);
  remove_key(store, vault.id(), second.id);
  EXPECT_FALSE(opens(passphrase("battery staple")));
  EXPECT_TRUE(opens(first));
}

TEST_F(KeysTest, AWrongOneIsToldWithTheKeysThereAre) {
  auto material = passphrase("wrong and secret");
  auto error = error_of([&] { Vault::open(store, &material); });
  EXPECT_EQ(error.code(), Code::denied);
  std::string what = error.what();
  EXPECT_NE(what.find("the passphrase of the test opens none of its keys"), std::string::npos);
  EXPECT_NE(what.find(vault.opened_by() + " (passphrase, at the start)"), std::string::npos)
      << what;
  EXPECT_EQ(what.find("wrong and secret"), std::string::npos);
  EXPECT_NE(error.hint().find("lifeboat key"), std::string::npos);
  error = error_of([&] { Vault::open(store); });
  EXPECT_EQ(error.code(), Code::denied);
  EXPECT_NE(error.hint().find("vault_key"), std::string::npos);
}

TEST_F(KeysTest, TheLastOneStays) {
  EXPECT_EQ(error_of([&] { remove_key(store, vault.id(), vault.opened_by()); }).code(),
            Code::refused);
  EXPECT_EQ(error_of([&] { remove_key(store, vault.id(), "nonsense"); }).code(), Code::not_found);
  store.put("keys/0123456789abcdef", "damaged");  // counts for nothing
  EXPECT_EQ(error_of([&] { remove_key(store, vault.id(), vault.opened_by()); }).code(),
            Code::refused);
  EXPECT_TRUE(opens(first));
}

TEST_F(KeysTest, APlainRootInItsPlaceIsRefused) {
  MemoryStore plain;
  Vault::create(plain, clock, random);
  store.put("vault", *plain.get("vault"));
  auto error = error_of([&] { Vault::open(store, &first); });
  EXPECT_EQ(error.code(), Code::refused);
  EXPECT_NE(std::string(error.what()).find("plain"), std::string::npos);
}

TEST_F(KeysTest, ARootThatSomebodyElseWroteIsRefused) {
  auto root =
      nlohmann::json::parse(unframe(ObjectType::root, "vault", *store.get("vault")).payload);
  for (const char* member : {"check", "created"}) {
    auto bad = root;
    bad[member] =
        std::string(member) == "check" ? std::string(64, '0') : "2026-11-22T17:05:06.124Z";
    store.put("vault", frame(ObjectType::root, "vault", bad.dump()));
    EXPECT_EQ(error_of([&] { Vault::open(store, &first); }).code(), Code::corrupt) << member;
  }
  root["cipher"] = "ROT13";
  store.put("vault", frame(ObjectType::root, "vault", root.dump()));
  EXPECT_EQ(error_of([&] { Vault::open(store, &first); }).code(), Code::unsupported);
}

TEST_F(KeysTest, TheKeyOfAnotherVaultIsRefused) {
  MemoryStore elsewhere;
  auto other = Vault::create(elsewhere, clock, random, first, "", kCheap);
  auto sheet = recovery(other);
  EXPECT_EQ(error_of([&] { Vault::open(store, &sheet); }).code(), Code::denied);
  // Its wrapped key here, though of the same passphrase: not one of this vault's.
  auto name = "keys/" + other.opened_by();
  store.put(name, *elsewhere.get(name));
  EXPECT_TRUE(opens(first));
  EXPECT_EQ(Vault::open(store, &first).opened_by(), vault.opened_by());
  auto listed = list_keys(store, vault.id());
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_TRUE(listed[0].foreign != listed[1].foreign);
  EXPECT_TRUE(verify(vault, {}, Cancel()).good());
}

// Somebody who knows the format: checksums fit again. The wrapped key opens only as what it was
// written: no other label, kind, time, cost, vault or id.
TEST_F(KeysTest, EveryChangedByteOfAKeyIsRefused) {
  for (auto material : {KeyMaterial::Kind::passphrase, KeyMaterial::Kind::file}) {
    auto own = material == KeyMaterial::Kind::file ? key_file('f') : passphrase("battery staple");
    auto id = add(own, "label").id;
    auto name = "keys/" + id;
    const auto good = *store.get(name);
    auto payload = std::string(unframe(ObjectType::key, name, good).payload);
    for (std::size_t i = 0; i < payload.size(); ++i) {
      auto bad = payload;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      try {
        EXPECT_FALSE(unwrap(parse_key(name, frame(ObjectType::key, name, bad)), own)) << i;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt);
      }
      EXPECT_EQ(error_of([&] {
                  parse_key(name, frame(ObjectType::key, name, payload.substr(0, i)));
                }).code(),
                Code::corrupt);
    }
    auto as_other = "keys/0123456789abcdef";
    EXPECT_FALSE(unwrap(parse_key(as_other, frame(ObjectType::key, as_other, payload)), own));
    EXPECT_TRUE(unwrap(parse_key(name, good), own));
  }
}

TEST_F(KeysTest, AScryptThatTakesTooMuchIsRefusedWhenRead) {
  auto name = "keys/" + vault.opened_by();
  auto payload = std::string(unframe(ObjectType::key, name, *store.get(name)).payload);
  auto at = payload.size() - 48 - 32 - 12;  // log2 N
  ASSERT_EQ(payload[at], 4);
  for (char hostile : {0, 19, 64, -1}) {
    payload[at] = hostile;
    store.put(name, frame(ObjectType::key, name, payload));
    EXPECT_EQ(error_of([&] { Vault::open(store, &first); }).code(), Code::corrupt);
  }
}

TEST_F(KeysTest, DamagedKeysAreListedAndOthersStillOpen) {
  add(key_file('f'));
  auto name = "keys/" + vault.opened_by();
  auto bytes = *store.get(name);
  bytes[30] ^= 1;
  store.put(name, bytes);
  EXPECT_TRUE(opens(key_file('f')));
  EXPECT_EQ(error_of([&] { Vault::open(store, &first); }).code(), Code::corrupt);
  store.remove(name);
  EXPECT_FALSE(opens(first));
  auto key = key_file('f');
  EXPECT_TRUE(verify(Vault::open(store, &key), {}, Cancel()).good());
  auto report = verify(vault, {}, Cancel());  // opened by the one that is gone
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].object, name);
}

TEST_F(KeysTest, ACrashWhileItIsMadeLeavesNoVaultThatNobodyCanOpen) {
  MemoryStore half;
  auto name = "keys/" + vault.opened_by();
  half.put(name, *store.get(name));  // the key is written first
  EXPECT_FALSE(Vault::exists(half));
  auto again = Vault::create(half, clock, random, first, "", kCheap);
  EXPECT_NE(again.id(), vault.id());
  EXPECT_TRUE(verify(again, {}, Cancel()).good());
}

TEST(KeyText, ComesBackAsItWas) {
  for (auto kind : {KeyMaterial::Kind::file, KeyMaterial::Kind::vault_key}) {
    KeyMaterial key{kind, random_key(), ""};
    auto text = to_text(key);
    for (const auto& written : {text, "# a comment\n" + text + "\n", "\r\n" + text + " "}) {
      auto back = parse_key_text(written, "x");
      EXPECT_EQ(back.kind, kind);
      EXPECT_EQ(back.secret.view(), key.secret.view());
    }
    if (kind == KeyMaterial::Kind::file) continue;
    for (std::size_t i = 0; i < text.size(); ++i) {  // each mistyped digit
      if (text[i] == ' ' || text[i] == '\n') continue;
      auto bad = text;
      bad[i] = bad[i] == '7' ? '1' : '7';
      EXPECT_EQ(error_of([&] { parse_key_text(bad, "x"); }).code(), Code::config);
    }
  }
  for (std::string bad : {"", "#", "abc", "secret passphrase"}) {
    auto error = error_of([&] { parse_key_text(bad, "/a/file"); });
    EXPECT_EQ(error.code(), Code::config);
    EXPECT_EQ(error.subject(), "/a/file");
  }
  auto error = error_of([&] { parse_key_text(std::string(64, 'z'), "/a/file"); });
  EXPECT_EQ(std::string(error.what()).find("zz"), std::string::npos);
}

}  // namespace
}  // namespace lifeboat::vault
