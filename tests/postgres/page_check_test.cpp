#include "postgres/page_check.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "postgres/relation_file.hpp"

namespace lifeboat::postgres {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kPage = 8192, kSegment = 131072;

template <typename Number>
void set(std::string& page, std::size_t at, Number value) {
  std::memcpy(page.data() + at, &value, sizeof value);
}

// One that holds, with an LSN.
std::string page(std::uint32_t block, std::uint64_t lsn) {
  std::string out(kPage, '\0');
  for (std::size_t i = 24; i < out.size(); ++i) out[i] = static_cast<char>(i * (block + 7) % 251);
  set(out, 0, static_cast<std::uint32_t>(lsn >> 32));
  set(out, 4, static_cast<std::uint32_t>(lsn));
  set(out, 14, std::uint16_t{8000});  // pd_upper
  set(out, 8, page_checksum(out, block));
  return out;
}

// What is said of a file's bytes; `then` is what a page has when it is read again.
std::string verdict(const std::string& path, std::uint64_t offset, const std::string& bytes,
                    const std::string& then = "") {
  PageCheck check({kPage, kSegment, Lsn(0x500000000)});
  check.begin(path);
  check.look(offset, bytes, [&](std::uint64_t, std::string& again) {
    again = then;
    return !then.empty();
  });
  try {
    check.expect_none();
    return "good";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::corrupt);
    return error.message();
  }
}

TEST(PageCheck, EachPageCountsInItsRelation) {
  const std::string path = "base/5/16384", third = "base/5/16384.3";
  const auto bytes = page(4, 77) + page(5, 77);
  EXPECT_EQ(verdict(path, 4 * kPage, bytes, bytes.substr(0, kPage)), "good");
  EXPECT_THAT(verdict(path, 0, bytes, bytes.substr(0, kPage)),
              HasSubstr("2 pages do not match their checksum: block 0 of base/5/16384, block 1"));
  const auto far = page(3 * kSegment + 1, 77);
  EXPECT_EQ(verdict(third, kPage, far, far), "good");
  EXPECT_THAT(verdict(path, kPage, far, far), HasSubstr("block 1 of"));
  EXPECT_EQ(verdict("base/5/PG_VERSION", kPage, far, far), "good");  // has no pages
}

TEST(PageCheck, EveryBitCounts) {
  const auto good = page(0, 77);
  for (std::size_t at : {0u, 8u, 9u, 10u, 24u, 4096u, 8191u}) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (at == 0 ? 4 : 0x10));
    if (at == 0) set(bad, 0, std::uint32_t{4});  // an LSN before the backup
    EXPECT_THAT(verdict("global/1262", 0, bad, bad), HasSubstr("block 0 of global/1262")) << at;
  }
}

TEST(PageCheck, WhatTheWalBringsOrHasNoContentIsNotCompared) {
  auto bad = page(0, 0x500000000);
  bad[100] = static_cast<char>(bad[100] ^ 1);
  EXPECT_EQ(verdict("base/5/1", 0, bad, bad), "good");
  EXPECT_EQ(verdict("base/5/1", 0, std::string(kPage, '\0')), "good");
  EXPECT_EQ(verdict("base/5/1", 0, "a torn end"), "good");
}

TEST(PageCheck, APageThatWasMetHalfWrittenIsReadAgain) {
  const auto good = page(0, 77);
  const auto torn = good.substr(0, kPage / 2) + std::string(kPage / 2, 'x');
  EXPECT_EQ(verdict("base/5/1_vm", 0, torn, good), "good");
  EXPECT_EQ(verdict("base/5/1_vm", 0, torn, ""), "good");  // cut off meanwhile
  EXPECT_THAT(verdict("base/5/1_vm", 0, torn, torn), HasSubstr("1 page does not match"));
}

TEST(RelationFile, IsToldByItsName) {
  EXPECT_EQ(segment_of_relation("base/5/16384"), 0u);
  EXPECT_EQ(segment_of_relation("global/1262_fsm.2"), 2u);
  EXPECT_EQ(segment_of_relation("pg_tblspc/16385/PG_15_202209061/5/16386.1"), 1u);
  for (const char* path : {"base/5/pg_filenode.map", "base/16384", "16384", "pg_xact/0000",
                           "base/5/16384.x", "base/5/16384.99999999999", "base/5/x_1"}) {
    EXPECT_EQ(segment_of_relation(path), std::nullopt) << path;
  }
  EXPECT_EQ(path_of_relation("base/5/16384_init.3"), "base/5/16384");
}

}  // namespace
}  // namespace lifeboat::postgres
