#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "base/file.hpp"
#include "clickhouse/snapshot.hpp"

namespace lifeboat::clickhouse {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kSum = "dc122c7ca720d27fe31dabc951922e3d";

std::string entry(const std::string& name, const std::string& size, const std::string& more = {}) {
  return "<file><name>" + name + "</name><size>" + size + "</size><checksum>" + std::string(kSum) +
         "</checksum>" + more + "</file>";
}

std::string document(const std::string& entries, const std::string& version = "1") {
  return "<config><version>" + version +
         "</version><deduplicate_files>1</deduplicate_files><timestamp>2026-11-22 17:43:15"
         "</timestamp><uuid>2b6a177f-ae44-4c48-86b5-d345f8093ea6</uuid><contents>" +
         entries + "</contents></config>";
}

// Parses in pieces of `piece` bytes, as a file is read.
std::vector<BackupFile> parse(const std::string& xml, std::size_t piece = 65536) {
  std::vector<BackupFile> files;
  std::size_t at = 0;
  parse_backup_xml(
      [&] {
        auto part = xml.substr(std::min(at, xml.size()), piece);
        at += part.size();
        return part;
      },
      "test", [&](const BackupFile& file) { files.push_back(file); });
  return files;
}

Code code_of(const std::string& xml) {
  try {
    parse(xml);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::usage;  // stands for: no error
}

TEST(BackupXml, ListsFilesWhateverThePieces) {
  const std::string xml =
      document(entry("data/ph/e/all_1_1_0/data.bin", "62") +
               entry("metadata/ph/a&amp;b&#39;.sql", "3", "<data_file>data/ph/e/x</data_file>"));
  for (std::size_t piece : {1, 2, 7, 64, 100000}) {
    const auto files = parse(xml, piece);
    ASSERT_EQ(files.size(), 2u);
    EXPECT_EQ(files[0].name, "data/ph/e/all_1_1_0/data.bin");
    EXPECT_EQ(files[0].data_file, files[0].name);
    EXPECT_EQ(files[0].size, ByteCount(62));
    EXPECT_EQ(files[0].checksum, kSum);
    EXPECT_EQ(files[1].name, "metadata/ph/a&b'.sql");
    EXPECT_EQ(files[1].data_file, "data/ph/e/x");
  }
  EXPECT_THAT(parse(document("")), IsEmpty());
}

TEST(BackupXml, HostileDocumentsAreRefused) {
  struct Case {
    const char* what;
    std::string xml;
    Code code;
  };
  const std::vector<Case> cases = {
      {"nothing", "", Code::corrupt},
      {"not XML", "hello", Code::corrupt},
      {"leaves the folder", document(entry("../../etc/passwd", "1")), Code::corrupt},
      {"leaves the folder inside", document(entry("data/../../x", "1")), Code::corrupt},
      {"absolute", document(entry("/etc/passwd", "1")), Code::corrupt},
      {"bytes elsewhere", document(entry("a", "1", "<data_file>../x</data_file>")), Code::corrupt},
      {"no name", document("<file><size>1</size></file>"), Code::corrupt},
      {"no size",
       document("<file><name>a</name><checksum>" + std::string(kSum) + "</checksum></file>"),
       Code::corrupt},
      {"size is negative", document(entry("a", "-1")), Code::corrupt},
      {"size overflows", document(entry("a", "99999999999999999999")), Code::corrupt},
      {"size is a word", document(entry("a", "1x")), Code::corrupt},
      {"no checksum", document("<file><name>a</name><size>1</size></file>"), Code::corrupt},
      {"odd checksum", document("<file><name>a</name><size>1</size><checksum>zz</checksum></file>"),
       Code::corrupt},
      {"entry in an entry", document("<file><name>a</name>" + entry("b", "1")), Code::corrupt},
      {"unknown entity", document(entry("a&bomb;", "1")), Code::corrupt},
      {"entity without end", document(entry("a&amp", "1")), Code::corrupt},
      {"goes on after its end", document("") + "<file>", Code::corrupt},
      {"endless tag", "<" + std::string(1 << 20, 'x'), Code::corrupt},
      {"increment", document(entry("a", "5", "<use_base>true</use_base>")), Code::unsupported},
      {"newer", document(entry("a", "5"), "77"), Code::unsupported},
  };
  for (const auto& c : cases) EXPECT_EQ(code_of(c.xml), c.code) << c.what;
}

TEST(BackupXml, EveryTruncationIsNoticed) {
  const std::string xml = document(entry("data/a", "1") + entry("data/b", "2"));
  for (std::size_t n = 0; n < xml.size(); ++n) {
    EXPECT_EQ(code_of(xml.substr(0, n)), Code::corrupt) << n;
  }
}

TEST(BackupXml, FlippedBytesNeverCrash) {
  const std::string good = document(entry("data/a", "1") + entry("data/b", "2"));
  for (std::size_t n = 0; n < good.size(); ++n) {
    for (char with : {'<', '>', '&', '\0', '/', 'x'}) {
      std::string bad = good;
      bad[n] = with;
      try {
        for (const auto& file : parse(bad, 13)) {
          EXPECT_EQ(file.name.find(".."), std::string::npos);
        }
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == Code::corrupt || error.code() == Code::unsupported);
      }
    }
  }
}

class BackupFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = fs::temp_directory_path() / "lifeboat-backups-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    place_ = {"backups", path};
  }
  void TearDown() override { fs::remove_all(place_.path); }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((place_.path / name).parent_path());
    write_file_durably(place_.path / name, text);
  }
  BackupPlace place_;
};

TEST_F(BackupFolder, StoredFilesAreCheckedAgainstTheList) {
  write("lifeboat-1/.backup",
        document(entry("data/a", "3") + entry("data/same", "3", "<data_file>data/a</data_file>") +
                 "<file><name>data/empty</name><size>0</size></file>"));
  write("lifeboat-1/data/a", "abc");
  BackupFiles files(place_, "lifeboat-1");
  std::vector<std::string> names;
  auto take = [&](const std::string& name, ByteCount) { names.push_back(name); };
  files.for_each_stored(take);
  EXPECT_THAT(names, ElementsAre("data/a", ".backup"));
  write("lifeboat-1/data/a", "abcd");
  EXPECT_THROW(files.for_each_stored(take), Error);
  fs::remove(place_.path / "lifeboat-1/data/a");
  EXPECT_THROW(files.for_each_stored(take), Error);
}

TEST_F(BackupFolder, OnlyOursAreRemoved) {
  write("lifeboat-done/.backup", document(""));
  write("lifeboat-half/.lock", "x");
  write("foreign/.lock", "x");
  EXPECT_THAT(finished_backups(place_), ElementsAre("lifeboat-done"));
  EXPECT_THAT(unfinished_backups(place_), ElementsAre("lifeboat-half"));
  EXPECT_THROW(BackupFiles(place_, "lifeboat-half"), Error);
  EXPECT_THROW(BackupFiles(place_, "../x"), Error);
  remove_backup(place_, "lifeboat-half");
  remove_backup(place_, "lifeboat-half");  // again: nothing to do
  EXPECT_FALSE(fs::exists(place_.path / "lifeboat-half"));
  for (const char* name : {"foreign", "lifeboat-done/../foreign", "lifeboat-/x", ""}) {
    EXPECT_THROW(remove_backup(place_, name), Error) << name;
  }
  EXPECT_TRUE(fs::exists(place_.path / "foreign/.lock"));
  EXPECT_THROW(finished_backups({"backups", ""}), Error);
}

}  // namespace
}  // namespace lifeboat::clickhouse
