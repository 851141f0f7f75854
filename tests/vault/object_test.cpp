#include "vault/object.hpp"

#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

const std::string kName = "points/x";

TEST(Object, RoundTrip) {
  for (std::string payload : {"", "x", "hello"}) {
    auto bytes = frame(ObjectType::point, kName, payload, 3);
    auto opened = unframe(ObjectType::point, kName, bytes);
    EXPECT_EQ(opened.payload, payload);
    EXPECT_EQ(opened.flags, 3);
  }
}

TEST(Object, EveryFlippedByteAndEveryTruncationIsCorrupt) {
  const auto good = frame(ObjectType::point, kName, "hello");
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      auto error = error_of([&] { unframe(ObjectType::point, kName, bad); });
      EXPECT_EQ(error.code(), Code::corrupt) << "byte " << i;
      EXPECT_EQ(error.subject(), "point points/x");
      EXPECT_FALSE(error.hint().empty());
    }
    EXPECT_EQ(error_of([&] { unframe(ObjectType::point, kName, good.substr(0, i)); }).code(),
              Code::corrupt);
  }
  EXPECT_EQ(error_of([&] { unframe(ObjectType::point, kName, good + "x"); }).code(), Code::corrupt);
}

TEST(Object, AnotherNameOrTypeIsCorrupt) {
  auto bytes = frame(ObjectType::point, kName, "hello");
  EXPECT_EQ(error_of([&] { unframe(ObjectType::point, "points/y", bytes); }).code(), Code::corrupt);
  EXPECT_EQ(error_of([&] { unframe(ObjectType::root, kName, bytes); }).code(), Code::corrupt);
}

TEST(Object, ANewerVersionIsRefusedByName) {
  auto bytes = as_newer_version(kName, frame(ObjectType::point, kName, "hello"));
  auto error = error_of([&] { unframe(ObjectType::point, kName, bytes); });
  EXPECT_EQ(error.code(), Code::unsupported);
  EXPECT_STREQ(error.what(),
               "point points/x: written by a newer Lifeboat: format 2; this one reads 1");
}

TEST(VaultRoot, CreateOpenAndRefuse) {
  MemoryStore store;
  Random random(1);
  EXPECT_FALSE(Vault::exists(store));
  EXPECT_EQ(error_of([&] { Vault::open(store); }).code(), Code::not_found);
  Vault made = Vault::create(store, Clock::real(), random);
  EXPECT_TRUE(Vault::exists(store));
  EXPECT_EQ(made.id().size(), 32u);
  Vault opened = Vault::open(store);
  EXPECT_EQ(opened.id(), made.id());
  EXPECT_EQ(opened.created(), made.created());
  auto error = error_of([&] { Vault::create(store, Clock::real(), random); });
  EXPECT_EQ(error.code(), Code::refused);
  EXPECT_NE(error.message().find(made.id()), std::string::npos);
  EXPECT_EQ(Vault::open(store).id(), made.id());
}

}  // namespace
}  // namespace lifeboat::vault
