#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "store/memory_store.hpp"
#include "store/store_fixture.hpp"
#include "vault/keys.hpp"
#include "vault/logbook.hpp"
#include "vault/logbook_writer.hpp"
#include "vault/object.hpp"
#include "vault/points.hpp"
#include "vault/snapshot.hpp"
#include "vault/vault.hpp"
#include "vault/verify.hpp"

namespace lifeboat::vault {

using store::MemoryStore;
using store::ObjectInfo;

// The Error that `f` throws; a test failure when it throws none.
inline Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Code::failed, "", "");
}

// Bytes that look random, from a seed.
inline std::string noise(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string out;
  while (out.size() < size) append_le<std::uint64_t>(out, random.next());
  out.resize(size);
  return out;
}

inline std::string bytes_of(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

inline std::vector<ObjectInfo> objects_of(store::ObjectStore& store,
                                          const std::string& prefix = "") {
  std::vector<ObjectInfo> out;
  store.list(prefix, [&](const ObjectInfo& info) { out.push_back(info); });
  return out;
}

// A key file's secret: unlike a passphrase it takes no time.
inline KeyMaterial key_file(char seed = 'k') {
  return {KeyMaterial::Kind::file, Secret(std::string(kKeySize, seed)), "the key file of the test"};
}

enum class Kind { plain, encrypted };
inline const auto kKinds = ::testing::Values(Kind::plain, Kind::encrypted);
inline std::string kind_name(const ::testing::TestParamInfo<Kind>& info) {
  return info.param == Kind::plain ? "Plain" : "Encrypted";
}
// Runs the tests of a suite, written as TEST_P, on a plain vault and on an encrypted one.
#define LIFEBOAT_ON_BOTH_KINDS(suite) \
  INSTANTIATE_TEST_SUITE_P(Vault, suite, lifeboat::vault::kKinds, lifeboat::vault::kind_name)

inline Vault make_vault(Kind kind, store::ObjectStore& store, Clock& clock, Random& random) {
  return kind == Kind::plain ? Vault::create(store, clock, random)
                             : Vault::create(store, clock, random, key_file(), "");
}
inline Vault open_vault(Kind kind, store::ObjectStore& store) {
  auto key = key_file();
  return Vault::open(store, kind == Kind::plain ? nullptr : &key);
}

// A vault in memory.
struct VaultTest : ::testing::TestWithParam<Kind> {
  MemoryStore store;
  ManualClock clock{*parse_timestamp("2026-11-22T17:05:06.123Z")};
  Random random{7};
  Cancel cancel;
  Vault vault = make_vault(GetParam(), store, clock, random);

  Vault open(store::ObjectStore& there) const { return open_vault(GetParam(), there); }
  // Changes a byte of the chunk with this content where it lies; gives the name of its pack.
  std::string damage_chunk(const Digest& digest) {
    auto index = PackIndex::load(vault, {}, cancel);
    auto place = index.find(digest).value();
    auto name = index.packs().at(place.pack).name;
    auto bytes = store.get(name).value();
    bytes[place.offset] = static_cast<char>(bytes[place.offset] ^ 1);
    store.put(name, bytes);
    return name;
  }

  VerifyReport verify_all(Depth depth = Depth::data) {
    VerifyOptions options;
    options.depth = depth;
    return verify(vault, options, cancel);
  }
};

inline Extent extent(const std::string& log, std::int64_t base, std::int64_t next,
                     std::int64_t time = 1000) {
  return {{log}, Position(base), Position(next), Timestamp(time), Timestamp(time + 1), ""};
}

// A log of bytes: each position has its own byte.
inline std::string wal(std::int64_t from, std::int64_t to) {
  std::string out;
  for (auto p = from; p < to; ++p) {
    auto x = static_cast<std::uint64_t>(p) * 0x9e3779b97f4a7c15ull;
    out += static_cast<char>(x >> 56);
  }
  return out;
}

// A whole life of a point.
inline void write_point(const Vault& vault, const RecoveryPoint& point) {
  if (!vault.store().stat(point_name(point.id))) {
    open_point(vault, {point.id, point.created, "", "host", "/state", 1, {}, ""});
  }
  publish_point(vault, point);
}

// The object as a later version of the format would have written it: checksums hold.
inline std::string as_newer_version(const std::string& name, std::string bytes) {
  auto put = [&](std::size_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  put(8, std::uint16_t{2});
  put(20, crc32c(std::string_view(bytes).substr(0, 20), crc32c(name)));
  if (name.starts_with("logbook/") || name.starts_with("packs/")) {
    std::size_t trailer = bytes.size() - 24;
    put(trailer + 8, std::uint16_t{2});
    put(trailer + 12, crc32c(std::string_view(bytes).substr(trailer, 12), crc32c(name)));
  }
  return bytes;
}

}  // namespace lifeboat::vault
