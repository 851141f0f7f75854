// What is sealed: opens as what it was written, where it was written, and nowhere else; and tells
// nothing to those who do not have the key.
#include "vault/sealing.hpp"

#include <set>
#include <thread>

#include "store/crash_store.hpp"
#include "store/forwarding_store.hpp"
#include "vault/logbook_keeper.hpp"
#include "vault/object_check.hpp"
#include "vault/summary_format.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

std::string hex_of(const Secret& secret) {
  return to_hex(secret.view());
}

// RFC 4231 case 2, RFC 5869 case 1, RFC 7914 section 12, McGrew and Viega's case 14.
TEST(Crypto, KnownAnswers) {
  EXPECT_EQ(hmac_sha256("Jefe", "what do ya want for nothing?").hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_of(hkdf_sha256(std::string(22, '\x0b'), bytes_of("000102030405060708090a0b0c"),
                               bytes_of("f0f1f2f3f4f5f6f7f8f9"))),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  EXPECT_EQ(hex_of(scrypt("password", "NaCl", {10, 8, 16})),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162");
  std::string bytes(32, '\0');
  const std::string zeros(16, '\0');
  const std::string_view pieces[] = {zeros};
  gcm_seal(std::string(32, '\0'), Nonce{}, {}, pieces, bytes.data());
  EXPECT_EQ(to_hex(bytes), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_TRUE(gcm_open(std::string(32, '\0'), Nonce{}, {}, bytes.data(), bytes.size()));
  EXPECT_EQ(bytes.substr(0, 16), zeros);
}

TEST(Crypto, ScryptIsBounded) {
  EXPECT_TRUE(valid(ScryptCost{}));
  EXPECT_TRUE(valid({18, 8, 1}));
  for (ScryptCost cost : {ScryptCost{19, 8, 1}, ScryptCost{63, 8, 1}, ScryptCost{17, 64, 1},
                          ScryptCost{0, 8, 1}, ScryptCost{17, 0, 1}, ScryptCost{17, 8, 0},
                          ScryptCost{17, 8, 17}, ScryptCost{17, 0xffffffff, 1}}) {
    EXPECT_FALSE(valid(cost));
    EXPECT_EQ(error_of([&] { scrypt("x", "y", cost); }).code(), Code::failed);
  }
}

TEST(ObjectSeal, OpensOnlyAsWhatItWasSealed) {
  Sealing sealing(Secret(std::string(32, 'm')), "v1");
  auto salt = Salt::fresh();
  auto seal = sealing.object(ObjectType::logbook, "logbook/a/0", salt);
  const std::string_view pieces[] = {"hello, ", "world"};
  std::string good(12 + kTagSize, '\0');
  seal.seal(SealedPart::extent, ByteCount(24), "aad", pieces, good.data());
  auto opens = [&](const ObjectSeal& by, SealedPart part, std::uint64_t at, const std::string& aad,
                   std::string bytes) {
    try {
      EXPECT_EQ(by.open(part, ByteCount(at), aad, bytes.data(), bytes.size()), "hello, world");
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::corrupt);
      return false;
    }
  };
  EXPECT_TRUE(opens(seal, SealedPart::extent, 24, "aad", good));
  EXPECT_FALSE(opens(seal, SealedPart::footer, 24, "aad", good));
  EXPECT_FALSE(opens(seal, SealedPart::extent, 25, "aad", good));
  EXPECT_FALSE(opens(seal, SealedPart::extent, 24, "", good));
  Sealing other_key(Secret(std::string(32, 'n')), "v1");
  Sealing other_vault(Secret(std::string(32, 'm')), "v2");
  const ObjectSeal others[] = {
      other_key.object(ObjectType::logbook, "logbook/a/0", salt),
      other_vault.object(ObjectType::logbook, "logbook/a/0", salt),
      sealing.object(ObjectType::summary, "logbook/a/0", salt),
      sealing.object(ObjectType::logbook, "logbook/a/1", salt),
      sealing.object(ObjectType::logbook, "logbook/a/0", Salt::fresh()),
  };
  for (const auto& other : others) {
    EXPECT_FALSE(opens(other, SealedPart::extent, 24, "aad", good));
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    EXPECT_FALSE(opens(seal, SealedPart::extent, 24, "aad", bad)) << i;
    EXPECT_FALSE(opens(seal, SealedPart::extent, 24, "aad", good.substr(0, i))) << i;
  }
}

// In place and out of place, in one piece and in many: the same bytes.
TEST(ObjectSeal, InPlaceAndInPiecesIsTheSame) {
  Sealing sealing(Secret(std::string(32, 'm')), "v1");
  auto seal = sealing.object(ObjectType::logbook, "logbook/a/0", Salt{});
  for (std::size_t size : {0u, 1u, 15u, 16u, 17u, 4095u, 100'000u}) {
    auto bytes = noise(size, size);
    std::vector<std::string_view> pieces;
    for (std::size_t at = 0; at < size; at += 1 + at / 2) {
      pieces.push_back(std::string_view(bytes).substr(at, 1 + at / 2));
    }
    std::string out(size + kTagSize, '\0');
    seal.seal(SealedPart::extent, ByteCount(24), {}, pieces, out.data());
    auto in_place = "head" + bytes;
    seal.seal_tail(SealedPart::extent, ByteCount(24), {}, in_place, 4);
    EXPECT_EQ("head" + out, in_place);
    EXPECT_EQ(seal.open(SealedPart::extent, ByteCount(24), {}, out.data(), out.size()), bytes);
  }
}

// Somebody who knows the format, and not the key: lengths and checksums fit again.
std::string with_checksums(const std::string& name, std::string bytes) {
  auto put = [&](std::size_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  auto crc_at = [&](std::size_t from, std::size_t size, std::uint32_t begin) {
    return crc32c(std::string_view(bytes).substr(from, size), begin);
  };
  if (bytes.size() < kHeaderSize + kTrailerSize) return bytes;
  bool container = name.starts_with("logbook/") || name.starts_with("packs/");
  std::size_t payload = bytes.size() - kHeaderSize - (container ? 0 : kChecksumSize);
  put(12, static_cast<std::uint64_t>(payload));
  put(20, crc_at(0, 20, crc32c(name)));
  if (!container) {
    put(bytes.size() - 4, crc_at(kHeaderSize, payload, load_le<std::uint32_t>(bytes.data() + 20)));
    return bytes;
  }
  std::size_t trailer = bytes.size() - kTrailerSize;
  auto footer = load_le<std::uint32_t>(bytes.data() + trailer);
  if (footer <= trailer) put(trailer + 4, crc_at(trailer - footer, footer, crc32c(name)));
  put(trailer + 12, crc_at(trailer, 12, crc32c(name)));
  return bytes;
}

void fill(const Vault& vault, Clock& clock, Random& random) {
  Cancel cancel;
  for (int i = 0; i < 2; ++i) {
    auto number = std::to_string(i);
    LogbookOptions options;
    options.flush_interval = std::chrono::hours(1);
    LogbookWriter writer(vault, options, clock, random);
    writer.append(extent("postgres/7301/00000001", 40 * i, 40 * i + 40, 1000), wal(0, 40), cancel);
    writer.append(extent("kafka/c/t/secret-topic/0", 10 * i, 10 * i + 10),
                  std::string(300, static_cast<char>('k' + i)), cancel);
    writer.close(cancel);
    SnapshotWriter tree(vault, "secret-kind" + number);
    tree.add_file("secret-file", 0600, Timestamp(1), "secret-content-" + number);
    RecoveryPoint point;
    point.id = make_point_id(clock, random);
    point.label = "secret-label";
    point.stores = {{"postgres", {{"snapshot", tree.finish({}).hex()}}}};
    write_point(vault, point);
    KeeperOptions eager;
    eager.summarize_objects = 1;
    LogbookKeeper(vault, eager, {}, clock, random).keep({}, cancel);
  }
}

// Reads all of one object, whatever it is.
void read_object(const Vault& vault, const std::string& name) {
  auto bytes = vault.store().get(name).value();
  if (name.starts_with("packs/")) {
    check_objects(vault, {{name, ByteCount(bytes.size())}}, {}, Cancel(), [](ObjectCheck check) {
      if (check.error) throw *check.error;
    });
  } else if (name.starts_with("snapshots/")) {
    SnapshotReader(vault, name);
  } else if (name.starts_with("points/")) {
    read_point(vault, name.substr(7));
  } else if (name.starts_with("logbook/")) {
    check_logbook_object(vault.sealing(), name, bytes);
  } else if (name.starts_with("index/")) {
    auto summary = open_summary(vault.sealing(), name, bytes);
    for (const auto& log : summary.logs) {
      open_summarized(vault.sealing(), name, summary, log,
                      bytes.substr(log.offset.value, log.stored.value));
    }
  } else {
    FAIL() << name;
  }
}

struct SealedTest : ::testing::Test {
  MemoryStore store, other_store;
  ManualClock clock{*parse_timestamp("2026-11-22T17:05:06.123Z")};
  Random random{7};
  Vault vault = make_vault(Kind::encrypted, store, clock, random);
  Vault other = make_vault(Kind::encrypted, other_store, clock, random);
  const std::vector<std::string> types = {"packs/", "snapshots/", "points/", "logbook/", "index/"};

  void SetUp() override {
    fill(vault, clock, random);
    fill(other, clock, random);
  }

  void expect_refused(const std::string& name, const std::string& bytes, const std::string& what) {
    const auto good = *store.get(name);
    store.put(name, bytes);
    auto error = error_of([&] { read_object(vault, name); });
    EXPECT_TRUE(error.code() == Code::corrupt || error.code() == Code::unsupported)
        << name << " " << what << ": " << error.what();
    EXPECT_NE(error.subject().find(name), std::string::npos) << what << ": " << error.what();
    store.put(name, good);
  }
};

TEST_F(SealedTest, GoodObjectsAreRead) {
  for (const auto& type : types) {
    auto objects = objects_of(store, type);
    EXPECT_GE(objects.size(), 2u) << type;
    for (const auto& info : objects) EXPECT_NO_THROW(read_object(vault, info.name)) << info.name;
  }
}

TEST_F(SealedTest, EveryFlippedByteIsRefusedThoughChecksumsFit) {
  for (const auto& type : types) {
    auto name = objects_of(store, type).front().name;
    const auto good = *store.get(name);
    ASSERT_EQ(with_checksums(name, good), good);
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (int bit : {1, 128}) {
        auto bad = good;
        bad[i] = static_cast<char>(bad[i] ^ bit);
        bad = with_checksums(name, bad);
        if (bad != good) expect_refused(name, bad, "byte " + std::to_string(i));
      }
    }
  }
}

TEST_F(SealedTest, EveryTruncationIsRefusedThoughChecksumsFit) {
  for (const auto& type : types) {
    auto name = objects_of(store, type).front().name;
    const auto good = *store.get(name);
    for (std::size_t size = 0; size < good.size(); ++size) {
      expect_refused(name, with_checksums(name, good.substr(0, size)), "cut at the end");
      // The end, checksum or trailer, is kept; what lies before it is cut out.
      auto inner = good.substr(0, size) + good.substr(std::max(size + 1, good.size() - 24));
      if (inner.size() < good.size()) {
        expect_refused(name, with_checksums(name, inner), "cut before the end");
      }
    }
    expect_refused(name, with_checksums(name, good + "x"), "a byte too many");
  }
}

TEST_F(SealedTest, ObjectsInEachOthersPlacesAreRefusedThoughChecksumsFit) {
  for (const auto& type : types) {
    auto mine = objects_of(store, type);
    for (const auto& a : mine) {
      for (const auto& from : {&store, &other_store}) {
        for (const auto& b : objects_of(*from, type)) {
          if (from == &store && a.name == b.name) continue;
          expect_refused(a.name, with_checksums(a.name, *from->get(b.name)), "is " + b.name);
        }
      }
    }
  }
}

// An object that is put back as it was once, under its name, is what it was; one that was written
// anew by somebody without the key is refused, plain or sealed by another key.
TEST_F(SealedTest, PlainObjectsAreRefusedInAnEncryptedVaultAndTheOtherWayRound) {
  MemoryStore plain_store;
  Random same(7);
  Vault plain = make_vault(Kind::plain, plain_store, clock, same);
  fill(plain, clock, same);
  for (const auto& type : types) {
    auto name = objects_of(store, type).front().name;
    auto from = objects_of(plain_store, type).front().name;
    expect_refused(name, with_checksums(name, *plain_store.get(from)), "a plain one");
    plain_store.put(from, with_checksums(from, *store.get(name)));
    EXPECT_EQ(error_of([&] { read_object(plain, from); }).code(), Code::corrupt);
  }
}

TEST_F(SealedTest, NothingOfTheContentIsSeen) {
  for (const auto& info : objects_of(store)) {
    auto bytes = info.name + *store.get(info.name);
    for (std::string word : {"secret", "postgres", "kafka", "kkkk", "epochs", "snapshot\""}) {
      EXPECT_EQ(bytes.find(word), std::string::npos) << info.name << " tells " << word;
    }
    for (std::string known : {"secret-content-0", "secret-content-1"}) {
      EXPECT_EQ(bytes.find(sha256(known).hex()), std::string::npos);
      std::string raw(reinterpret_cast<const char*>(sha256(known).bytes.data()), 32);
      EXPECT_EQ(bytes.find(raw), std::string::npos);
    }
  }
  // The same content has another name in another vault.
  std::set<std::string> names;
  for (const auto& info : objects_of(store, "snapshots/")) names.insert(info.name);
  for (const auto& info : objects_of(other_store, "snapshots/")) {
    EXPECT_EQ(names.count(info.name), 0u);
  }
}

// Keeps the salt of all that is written, also of what does not arrive.
class SaltRecorder : public store::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  void put(const std::string& name, std::string_view bytes) override {
    record(name, bytes);
    ForwardingStore::put(name, bytes);
  }
  store::PutResult put_if_absent(const std::string& name, std::string_view bytes) override {
    record(name, bytes);
    return ForwardingStore::put_if_absent(name, bytes);
  }
  store::PutResult put_parts_if_absent(const std::string& name,
                                       const std::vector<std::string_view>& parts) override {
    std::string whole;
    for (auto part : parts) whole += part;
    return put_if_absent(name, whole);
  }
  std::map<std::string, std::set<std::string>> written;  // by salt: what was written with it
  std::mutex mutex;

 private:
  void record(const std::string& name, std::string_view bytes) {
    if (name == "vault" || name.starts_with("keys/")) return;
    std::size_t at = kHeaderSize;
    if (name.starts_with("logbook/") || name.starts_with("packs/")) {
      std::size_t trailer = bytes.size() - kTrailerSize;
      at = trailer - load_le<std::uint32_t>(bytes.data() + trailer);
    }
    std::lock_guard lock(mutex);
    written[std::string(bytes.substr(at, kSaltSize))].insert(name + std::string(bytes));
  }
};

// Programs that were started from the same seed, at the same time, and die at their n-th write: a
// salt goes with one sequence of bytes only, however often that is sent.
TEST(Salts, NeverComeTwiceAcrossWritersAndCrashes) {
  MemoryStore disk;
  SaltRecorder recorder(disk);
  ManualClock clock{Timestamp(1'800'000'000'000)};
  Random random(1);
  make_vault(Kind::encrypted, recorder, clock, random);
  for (std::uint64_t life = 1; life <= 30; ++life) {
    std::vector<std::thread> threads;
    for (int writer = 0; writer < 4; ++writer) {
      threads.emplace_back([&, writer] {
        Random same(7);
        store::CrashStore crash(recorder, life,
                                writer % 2 == 0 ? store::CrashStore::LastWrite::happens
                                                : store::CrashStore::LastWrite::does_not);
        try {
          fill(open_vault(Kind::encrypted, crash), clock, same);
        } catch (const store::Crashed&) {
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::conflict) << error.what();  // the same incarnation
        }
      });
    }
    for (auto& thread : threads) thread.join();
    clock.advance(Millis(1000));
  }
  EXPECT_GT(recorder.written.size(), 200u);
  for (const auto& [salt, objects] : recorder.written) EXPECT_EQ(objects.size(), 1u);
}

}  // namespace
}  // namespace lifeboat::vault
