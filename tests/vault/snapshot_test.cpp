#include "vault/snapshot.hpp"

#include "vault/earlier_snapshot.hpp"
#include "vault/snapshot_format.hpp"
#include "vault_fixture.hpp"

namespace lifeboat::vault {
namespace {

struct SnapshotTest : VaultTest {
  SnapshotOptions small() {
    SnapshotOptions options;
    options.chunk_size = ByteCount(1000);
    options.sizes = {256, 512, 1024};
    options.page_size = ByteCount(200);
    return options;
  }
  std::uint64_t page_bytes(const SnapshotId& id) {
    std::uint64_t sum = 0;
    for (const auto& page : SnapshotReader(vault, id).pages()) sum += page.size.value;
    return sum;
  }
  std::string content(const SnapshotReader& reader, const Entry& entry) {
    std::string out;
    reader.read_file(entry, [&](std::string_view bytes) { out += bytes; });
    return out;
  }
};

TEST_P(SnapshotTest, ATreeComesBackAsItWas) {
  SnapshotWriter writer(vault, "postgres-base", small());
  writer.add_directory("pg", 0700);
  writer.add_file("pg/empty", 0600, Timestamp(5), "");
  writer.begin_file("pg/large", 0640, Timestamp(-7), Cut::aligned);
  std::string large = noise(12'345, 9);
  for (std::size_t i = 0; i < large.size(); i += 77) {
    writer.data(std::string_view(large).substr(i, 77));
  }
  writer.end_file();
  writer.add_symlink("pg/link", "../../anywhere");
  writer.add_file("name with \n and \xff", 0777, Timestamp(1), "odd");
  auto id = writer.finish({{"lsn", "0/16B3748"}});

  SnapshotReader reader(vault, id);
  EXPECT_EQ(reader.kind(), "postgres-base");
  EXPECT_EQ(reader.meta().at("lsn"), "0/16B3748");
  EXPECT_EQ(reader.entries(), 5u);
  EXPECT_EQ(reader.bytes().value, large.size() + 3);
  EXPECT_GT(reader.pages().size(), 2u);
  std::vector<Entry> entries;
  reader.for_each([&](const Entry& entry) { entries.push_back(entry); });
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[0].type, Entry::Type::directory);
  EXPECT_EQ(entries[0].path, "pg");
  EXPECT_EQ(entries[0].mode, 0700u);
  EXPECT_EQ(entries[1].size.value, 0u);
  EXPECT_EQ(content(reader, entries[1]), "");
  EXPECT_EQ(entries[2].mode, 0640u);
  EXPECT_EQ(entries[2].mtime, Timestamp(-7));
  EXPECT_EQ(entries[2].chunks.size(), 13u);
  EXPECT_EQ(content(reader, entries[2]), large);
  EXPECT_EQ(entries[3].type, Entry::Type::symlink);
  EXPECT_EQ(entries[3].target, "../../anywhere");
  EXPECT_EQ(reader.read_small("name with \n and \xff"), "odd");
  EXPECT_EQ(reader.read_small("pg/large"), large);
  EXPECT_EQ(reader.read_small("none"), std::nullopt);
  EXPECT_EQ(error_of([&] { reader.read_small("pg/large", ByteCount(10)); }).code(), Code::corrupt);
}

// Of a file in which something was inserted, only what lies around that is stored again.
TEST_P(SnapshotTest, ByContentAnInsertionMovesNothingElse) {
  auto content = noise(300'000, 4);
  auto take = [&](const std::string& bytes, Cut cut) {
    SnapshotWriter writer(vault, "same", small());
    writer.begin_file("f", 0600, Timestamp(1), cut);
    for (std::size_t i = 0; i < bytes.size(); i += 777) {
      writer.data(std::string_view(bytes).substr(i, 777));
    }
    writer.end_file();
    auto id = writer.finish({});
    EXPECT_EQ(SnapshotReader(vault, id).read_small("f"), bytes);
    return writer.stats();
  };
  auto first = take(content, Cut::by_content);
  EXPECT_GT(first.new_bytes.value, content.size());
  auto inserted = content.substr(0, 100'000) + "a few bytes" + content.substr(100'000);
  EXPECT_LT(take(inserted, Cut::by_content).new_bytes.value, 40'000u);  // most of it its list
  EXPECT_GT(take(inserted, Cut::aligned).new_bytes.value, 290'000u);
}

TEST_P(SnapshotTest, AnEmptyOneIsOne) {
  auto id = SnapshotWriter(vault, "empty").finish(nlohmann::json::object());
  SnapshotReader reader(vault, id);
  reader.for_each([](const Entry&) { ADD_FAILURE(); });
  EXPECT_EQ(reader.entries(), 0u);
}

TEST_P(SnapshotTest, ManyEntriesInManyPages) {
  SnapshotWriter writer(vault, "many", small());
  constexpr int kFiles = 20'000;
  for (int i = 0; i < kFiles; ++i) {
    writer.add_file("d/" + std::to_string(i), 0600, Timestamp(i), std::to_string(i % 50));
  }
  auto id = writer.finish({});
  EXPECT_EQ(writer.stats().chunks, kFiles + SnapshotReader(vault, id).pages().size());
  int i = 0;
  SnapshotReader reader(vault, id);
  reader.for_each([&](const Entry& entry) {
    EXPECT_EQ(entry.path, "d/" + std::to_string(i));
    ++i;
  });
  EXPECT_EQ(i, kFiles);
}

TEST_P(SnapshotTest, TheSameStateHasTheSameIdAndCostsNothing) {
  auto take = [&](const std::string& bytes) {
    SnapshotWriter writer(vault, "same", small());
    writer.add_file("f", 0600, Timestamp(1), bytes);
    return writer.finish({{"n", 1}});
  };
  auto first = take(noise(5000, 1));
  auto objects = objects_of(store).size();
  EXPECT_EQ(take(noise(5000, 1)), first);
  EXPECT_EQ(objects_of(store).size(), objects);
  EXPECT_NE(take(noise(5000, 2)), first);
}

TEST_P(SnapshotTest, ADamagedRootIsHealedByTheSameState) {
  auto take = [&] {
    SnapshotWriter writer(vault, "same");
    writer.add_file("f", 0600, Timestamp(1), "x");
    return writer.finish({});
  };
  auto id = take();
  store.put(snapshot_name(vault, id), "rubbish");
  EXPECT_EQ(error_of([&] { SnapshotReader(vault, id); }).code(), Code::corrupt);
  EXPECT_EQ(take(), id);
  EXPECT_EQ(SnapshotReader(vault, id).read_small("f"), "x");
}

TEST_P(SnapshotTest, PathsThatLeadElsewhereAreRefused) {
  for (std::string path : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a/"}) {
    SnapshotWriter writer(vault, "bad");
    EXPECT_EQ(error_of([&] { writer.add_directory(path, 0); }).code(), Code::failed) << path;
    EXPECT_EQ(error_of([&] { writer.begin_file(path, 0, {}); }).code(), Code::failed) << path;
    EXPECT_EQ(error_of([&] { writer.add_symlink(path, "x"); }).code(), Code::failed) << path;
  }
  SnapshotWriter writer(vault, "bad");
  EXPECT_THROW(writer.begin_file(std::string("a\0b", 3), 0, {}), Error);
  EXPECT_THROW(writer.add_symlink("a", ""), Error);
}

TEST_P(SnapshotTest, MisuseIsToldApart) {
  SnapshotWriter writer(vault, "misuse");
  EXPECT_THROW(writer.data("x"), Error);
  EXPECT_THROW(writer.end_file(), Error);
  writer.begin_file("f", 0600, {});
  EXPECT_THROW(writer.begin_file("g", 0600, {}), Error);
  EXPECT_THROW(writer.add_directory("d", 0700), Error);
  EXPECT_THROW(writer.finish({}), Error);
  writer.end_file();
  writer.finish({});
  EXPECT_THROW(writer.finish({}), Error);
}

TEST_P(SnapshotTest, AFileThatIsKnownNeedsNoData) {
  const std::string large = noise(12'345, 9);
  auto first = [&] {
    SnapshotWriter writer(vault, "t", small());
    writer.begin_file("a", 0640, Timestamp(7), Cut::aligned, FileStamp{11, -5});
    writer.data(large);
    writer.end_file();
    writer.add_file("b", 0600, Timestamp(1), "no stamp");
    return writer.finish({});
  }();
  Chunks chunks(vault);
  SnapshotWriter again(chunks, "t", small());
  EarlierSnapshot earlier(chunks, snapshot_name(vault, first));
  const auto* a = earlier.find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->stamp, (FileStamp{11, -5}));
  EXPECT_TRUE(again.add_known_file(*a));
  const auto* b = earlier.find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->stamp, std::nullopt);
  EXPECT_TRUE(again.add_known_file(*b));
  EXPECT_EQ(again.finish({}), first);
  EXPECT_EQ(again.stats().new_chunks, 0u);
  EXPECT_EQ(again.stats().bytes.value,
            SnapshotReader(vault, first).bytes().value + page_bytes(first));
  EXPECT_FALSE(chunks.used_packs().empty());  // locks and prune look at these
}

TEST_P(SnapshotTest, AFileOfWhichAChunkIsGoneIsNotKnown) {
  Chunks chunks(vault);
  SnapshotWriter writer(chunks, "t", small());
  auto there = chunks.put("there");
  chunks.flush();
  Entry file;
  file.path = "f";
  file.chunks = {there, {sha256("gone"), ByteCount(4)}};
  file.size = ByteCount(9);
  const auto before = chunks.stats().chunks;
  EXPECT_FALSE(writer.add_known_file(file));
  EXPECT_EQ(chunks.stats().chunks, before);
  writer.add_file("f", 0600, Timestamp(0), "theregone");  // as if nothing had been tried
  SnapshotReader reader(vault, writer.finish({}));
  EXPECT_EQ(reader.read_small("f"), "theregone");
}

TEST_P(SnapshotTest, WhatWasThereIsFoundInTheOrderOfAWalk) {
  SnapshotWriter writer(vault, "t", small());
  const std::vector<std::string> paths = {"a", "a/b", "a/b/c", "a.c", "a0", "b/1", "b/10", "b/2"};
  for (const auto& path : paths) writer.add_file(path, 0600, Timestamp(0), path);
  auto id = writer.finish({});
  ASSERT_GT(SnapshotReader(vault, id).pages().size(), 1u);
  Chunks chunks(vault);
  EarlierSnapshot all(chunks, snapshot_name(vault, id));
  for (const auto& path : paths) {
    const auto* found = all.find(path);
    ASSERT_NE(found, nullptr) << path;
    EXPECT_EQ(found->path, path);
  }
  EXPECT_EQ(all.find("z"), nullptr);
  EarlierSnapshot some(chunks, snapshot_name(vault, id));
  EXPECT_EQ(some.find("a/a"), nullptr);
  EXPECT_EQ(some.find("a/d"), nullptr);
  ASSERT_NE(some.find("b/10"), nullptr);
  EXPECT_EQ(some.find("b/11"), nullptr);
  ASSERT_NE(some.find("b/2"), nullptr);
}

TEST(WalkedBefore, IsTheOrderOfParts) {
  const std::vector<std::string> sorted = {"",    "a",   "a/", "a/b", "a/b/c",  "a/b.c",
                                           "a b", "a.c", "a0", "b",   "b/\x01", "b/\xff"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      EXPECT_EQ(walked_before(sorted[i], sorted[j]), i < j) << sorted[i] << " " << sorted[j];
    }
  }
}

TEST_P(SnapshotTest, AMissingOneIsNamed) {
  SnapshotId id{sha256("none")};
  auto error = error_of([&] { SnapshotReader(vault, id); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_NE(std::string(error.what()).find(snapshot_name(vault, id)), std::string::npos);
}

// What a reader makes of lists that no writer writes.
TEST(EntryParser, HostileListsAreCorrupt) {
  std::string file = encode_file("f", 0600, Timestamp(0));
  std::string chunk = encode_chunk({sha256("x"), ByteCount(1)});
  std::string end = encode_end(ByteCount(1));
  std::vector<std::string> bad = {
      "\x09",                                     // unknown record
      chunk,                                      // of no file
      end,                                        // of no file
      file,                                       // without an end
      file + file,                                // inside another
      file + chunk + encode_end(ByteCount(2)),    // wrong size
      encode_stamp({1, 2}) + file + chunk + end,  // a stamp of no file
      file + chunk + encode_stamp({1, 2}) + end,  // after its data
      file + encode_stamp({1, 2}) + encode_stamp({1, 2}) + chunk + end,
      file + encode_chunk({sha256("x"), ByteCount(0)}),  // sizes that none has
      file + encode_chunk({sha256("x"), ByteCount(0xffffffff)}),
      encode_directory("../x", 0700),
      encode_symlink("/x", "y"),
      encode_directory("a", 0700) + encode_file("a/../..", 0600, Timestamp(0)) + end,
  };
  for (std::size_t i = 1; i < (file + chunk + end).size(); ++i) {
    bad.push_back((file + chunk + end).substr(0, i));  // cut off
  }
  for (const auto& page : bad) {
    EntryParser parser("snapshots/x");
    auto error = error_of([&] {
      parser.page(page);
      while (parser.next()) {
      }
      parser.finish(1, ByteCount(1));
    });
    EXPECT_EQ(error.code(), Code::corrupt) << to_hex(page);
    EXPECT_NE(error.subject().find("snapshots/x"), std::string::npos);
  }
  EntryParser good("snapshots/x");
  good.page(file + chunk + end);
  EXPECT_TRUE(good.next());
  EXPECT_FALSE(good.next());
  EXPECT_NO_THROW(good.finish(1, ByteCount(1)));
  EXPECT_THROW(good.finish(2, ByteCount(1)), Error);
  EXPECT_THROW(good.finish(1, ByteCount(2)), Error);
}

// A page may have millions, of a byte each in the store: they are not held at once.
TEST(EntryParser, GivesThemOneByOne) {
  EntryParser parser("snapshots/x");
  EXPECT_FALSE(parser.next());
  parser.page(encode_directory("a", 0700) + encode_directory("b", 0700) + "\x09");
  EXPECT_EQ(parser.next().value().path, "a");
  EXPECT_EQ(parser.next().value().path, "b");
  EXPECT_EQ(error_of([&] { parser.next(); }).code(), Code::corrupt);
}

LIFEBOAT_ON_BOTH_KINDS(SnapshotTest);

}  // namespace
}  // namespace lifeboat::vault
