// The files of ClickHouse's backups beside the list of them in the vault.
#include "recovery/saved_files.hpp"

#include <fstream>
#include <map>
#include <set>

#include "store/memory_store.hpp"
#include "store/store_fixture.hpp"
#include "vault/snapshot.hpp"

namespace lifeboat::recovery {
namespace {

struct SavedFilesTest : testing::Test {
  store::MemoryStore store;
  ManualClock clock{Timestamp(1'000'000)};
  Random random{7};
  vault::Vault vault = vault::Vault::create(store, clock, random);
  store::TemporaryDirectory folder;
  Cancel cancel;
  std::string list;
  std::uint64_t total = 0;

  std::filesystem::path path(int i) const { return folder.path() / name(i); }
  static std::string name(int i) { return "file" + std::to_string(i); }
  void write(int i, const std::string& bytes) { std::ofstream(path(i), std::ios::binary) << bytes; }
  void save(int i, const std::string& bytes) {
    write(i, bytes);
    list += encode({name(i), ByteCount(bytes.size()), sha256(bytes)});
    total += bytes.size();
  }

  FilesChecked check(std::map<std::string, Code>& damaged, const FileChoice& chosen) {
    vault::SnapshotWriter tree(vault, "clickhouse");
    tree.add_file("files.jsonl", 0600, Timestamp(0), list);
    vault::SnapshotReader reader(vault, tree.finish({{"n", 1}}));
    return check_backup_files(reader, folder.path(), chosen, cancel,
                              [&](const SavedFile& file, const std::string&, Code code) {
                                EXPECT_TRUE(damaged.emplace(file.name, code).second) << file.name;
                              });
  }
};

TEST_F(SavedFilesTest, EachThatDiffersIsNamedOnceAndTheOthersAreRead) {
  for (int i = 0; i < 300; ++i) save(i, std::string(static_cast<std::size_t>(i * 3000), 'a'));
  std::string other(200 * 3000, 'a');
  other.back() = 'b';
  write(200, other);
  write(299, std::string(299 * 3000, 'c'));
  write(17, "short");
  std::filesystem::remove(path(18));
  std::map<std::string, Code> damaged;
  auto checked = check(damaged, [](const SavedFile&) { return true; });
  EXPECT_EQ(damaged, (std::map<std::string, Code>{{"file200", Code::corrupt},
                                                  {"file299", Code::corrupt},
                                                  {"file17", Code::corrupt},
                                                  {"file18", Code::not_found}}));
  EXPECT_EQ(checked.files, 300u);
  EXPECT_EQ(checked.total.value, total);
  EXPECT_EQ(checked.bytes.value, total - (17 + 18) * 3000);
  damaged.clear();
  checked = check(damaged, [](const SavedFile& file) { return file.name == "file200"; });
  EXPECT_EQ(damaged.size(), 3u);  // sizes are looked at anyway
  EXPECT_EQ(checked.bytes.value, other.size());
  damaged.clear();
  EXPECT_EQ(check(damaged, {}).bytes.value, 0u);
  EXPECT_EQ(damaged.size(), 2u);
}

TEST_F(SavedFilesTest, StopsWhenAsked) {
  for (int i = 0; i < 50; ++i) save(i, std::string(100'000, 'a'));
  std::map<std::string, Code> damaged;
  auto ask = [&](const SavedFile& file) {
    if (file.name == "file30") cancel.request();
    return true;
  };
  try {
    check(damaged, ask);
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled);
  }
}

}  // namespace
}  // namespace lifeboat::recovery
