#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "local_server.hpp"
#include "postgres/restore.hpp"

namespace lifeboat::postgres {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class DataDirectory : public testing::Test {
 protected:
  Code code_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::usage;  // nothing was thrown
  }
  static void put(DataDirectoryWriter& writer, const std::string& path, std::string_view content) {
    writer.begin_file(path, ByteCount(content.size()), 0644, Timestamp(0));
    writer.data(content);
    writer.end_file();
  }
  test::TempDir dir_;
  fs::path data_ = dir_.path() / "data";
  fs::path outside_ = dir_.path() / "outside";
};

TEST_F(DataDirectory, WritesWithTightModesAndTheRightOwner) {
  DataDirectoryWriter writer(data_, {test::os_user(), {}});
  EXPECT_EQ(directory_state(data_), DirectoryState::unfinished);
  writer.begin_directory("base", 0777);
  put(writer, "base/1", "hello");
  put(writer, "empty", "");
  writer.begin_stream("backup_manifest", 0666);
  writer.data("{}");
  writer.end_file();
  writer.finish();
  EXPECT_EQ(read_file(data_ / "base/1"), "hello");
  EXPECT_EQ(read_file(data_ / "backup_manifest"), "{}");
  EXPECT_EQ(directory_state(data_), DirectoryState::occupied);
  const auto owner = find_owner(test::os_user()).value_or(Owner{::geteuid(), ::getegid()});
  for (const auto& [path, mode] : std::map<fs::path, unsigned>{{data_, 0700},
                                                               {data_ / "base", 0700},
                                                               {data_ / "base/1", 0600},
                                                               {data_ / "empty", 0600}}) {
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, mode) << path;
    EXPECT_EQ(st.st_uid, owner.uid) << path;
  }
}

TEST_F(DataDirectory, AFullDirectoryIsRefusedAndNotTouched) {
  fs::create_directory(data_);
  std::ofstream(data_ / "precious") << "x";
  EXPECT_EQ(code_of([&] { DataDirectoryWriter(data_, {}); }), Code::refused);
  EXPECT_EQ(read_file(data_ / "precious"), "x");
  EXPECT_EQ(std::distance(fs::directory_iterator(data_), {}), 1);
  std::ofstream(outside_) << "a file";
  EXPECT_EQ(code_of([&] { DataDirectoryWriter(outside_, {}); }), Code::refused);
}

TEST_F(DataDirectory, AnUnfinishedOneIsBegunAgain) {
  {
    DataDirectoryWriter writer(data_, {});
    writer.begin_directory("pg_tblspc", 0700);
    writer.symlink("pg_tblspc/16400", outside_.string());
    writer.begin_directory("pg_tblspc/16400/PG_15", 0700);
    put(writer, "pg_tblspc/16400/PG_15/1", "old");
    put(writer, "stale", "old");
  }
  DataDirectoryWriter writer(data_, {});
  EXPECT_FALSE(fs::exists(data_ / "stale"));
  writer.begin_directory("pg_tblspc", 0700);
  writer.symlink("pg_tblspc/16400", outside_.string());
  EXPECT_FALSE(fs::exists(outside_ / "PG_15"));
  put(writer, "fresh", "new");
  writer.finish();
  EXPECT_EQ(read_file(data_ / "fresh"), "new");
  EXPECT_EQ(directory_state(outside_), DirectoryState::empty);
}

TEST_F(DataDirectory, PathsThatLeaveItAreRefused) {
  fs::create_directory(outside_);
  std::ofstream(outside_ / "victim") << "x";
  DataDirectoryWriter writer(data_, {});
  for (const std::string path :
       {"../outside/new", "/etc/new", "a/../../outside/new", "", ".", ".."}) {
    EXPECT_EQ(code_of([&] { writer.begin_file(path, ByteCount(0), 0600, Timestamp(0)); }),
              Code::corrupt)
        << path;
    EXPECT_EQ(code_of([&] { writer.begin_directory(path, 0700); }), Code::corrupt) << path;
  }
  // A link is good for a tablespace alone, and only to a place that is empty.
  EXPECT_EQ(code_of([&] { writer.symlink("base", outside_.string()); }), Code::corrupt);
  EXPECT_EQ(code_of([&] { writer.symlink("pg_tblspc/x", outside_.string()); }), Code::corrupt);
  EXPECT_EQ(code_of([&] { writer.symlink("pg_tblspc/1", "../outside"); }), Code::corrupt);
  EXPECT_EQ(code_of([&] { writer.symlink("pg_tblspc/1", outside_.string()); }), Code::refused);
  EXPECT_EQ(std::distance(fs::directory_iterator(outside_), {}), 1);
}

// What an earlier run left there is emptied: not while this one writes to it.
TEST_F(DataDirectory, ATablespaceThatLiesInAnotherPlaceOfTheRestoreIsRefused) {
  const auto tablespace = outside_ / "space";
  fs::create_directories(data_);
  fs::create_directory_symlink(dir_.path(), outside_.string() + "-link");
  DataDirectoryWriter writer(data_, {});
  writer.begin_directory("pg_tblspc", 0700);
  put(writer, "written", "x");
  fs::create_directory(outside_);
  writer.symlink("pg_tblspc/1", tablespace.string());
  writer.begin_directory("pg_tblspc/1/PG_15", 0700);
  put(writer, "pg_tblspc/1/PG_15/1", "x");
  const auto mark = read_file(data_ / "lifeboat-restore.unfinished").value();
  std::ofstream(outside_ / "lifeboat-restore.unfinished") << mark;
  put(writer, "sub", "x");
  writer.begin_directory("base", 0700);
  put(writer, "base/lifeboat-restore.unfinished", mark);
  for (const auto& place :
       {data_, tablespace, outside_, dir_.path(), data_ / "base", tablespace / "PG_15",
        outside_ / "." / "space", fs::path(outside_.string() + "-link") / "data"}) {
    EXPECT_EQ(code_of([&] { writer.symlink("pg_tblspc/2", place.string()); }), Code::refused)
        << place;
  }
  EXPECT_EQ(read_file(data_ / "written"), "x");
  EXPECT_EQ(read_file(tablespace / "PG_15/1"), "x");
  // PostgreSQL allows it with a warning: nothing is there to be emptied.
  writer.symlink("pg_tblspc/3", (data_ / "space").string());
  EXPECT_TRUE(fs::exists(data_ / "space"));
}

// As long as it lives, this process is no superuser, who may open anything.
class AsNobody {
 public:
  AsNobody() { set(kNobody); }
  ~AsNobody() { set(0); }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  static void give(const fs::path& path) {
    if (::getuid() != 0) return;
    EXPECT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
  }

 private:
  static constexpr unsigned kNobody = 65534;
  static void set(unsigned user) {
    if (::getuid() != 0) return;
    EXPECT_EQ(::seteuid(user), 0);
  }
};

// The entry of a directory that was made lies in its parent: one that cannot be opened cannot be
// made durable, and that is no success.
TEST_F(DataDirectory, AParentThatCannotBeMadeDurableIsAnError) {
  const auto error_of = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      return std::string(to_string(error.code())) + " " + error.what();
    }
    return std::string("nothing was thrown");
  };
  fs::create_directory(outside_);
  for (const auto& path : {dir_.path(), outside_}) AsNobody::give(path);
  const AsNobody nobody;
  const auto write_only = fs::perms::owner_write | fs::perms::owner_exec;
  DataDirectoryWriter writer(data_, {});
  writer.begin_directory("pg_tblspc", 0700);
  fs::permissions(outside_, write_only);
  EXPECT_THAT(error_of([&] { writer.symlink("pg_tblspc/1", (outside_ / "space").string()); }),
              testing::AllOf(testing::StartsWith("denied"), HasSubstr(outside_.string() + ":")));
  fs::permissions(outside_, fs::perms::owner_all);
  writer.symlink("pg_tblspc/2", (outside_ / "other").string());
  fs::permissions(dir_.path(), write_only);
  EXPECT_THAT(error_of([&] { writer.finish(); }),
              testing::AllOf(testing::StartsWith("denied"), HasSubstr(dir_.path().string() + ":")));
  EXPECT_EQ(directory_state(data_), DirectoryState::unfinished);
  fs::permissions(dir_.path(), fs::perms::owner_all);
  writer.finish();
  EXPECT_EQ(directory_state(data_), DirectoryState::occupied);
}

TEST_F(DataDirectory, ItsOwnLinkIsFollowed) {
  fs::create_directory(outside_);
  fs::create_directory_symlink(outside_, data_);
  {
    DataDirectoryWriter writer(data_, {});
    writer.begin_directory("base", 0700);
    put(writer, "base/1", "x");
    writer.finish();
  }
  EXPECT_TRUE(fs::is_symlink(data_));
  EXPECT_EQ(read_file(outside_ / "base/1"), "x");
}

TEST_F(DataDirectory, OtherLinksAreRefused) {
  fs::create_directory_symlink(outside_, data_);  // leads nowhere
  try {
    DataDirectoryWriter(data_, {});
    ADD_FAILURE() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::refused) << error.what();
    EXPECT_THAT(error.hint(), HasSubstr("put a directory in its place"));
  }
  const auto real = dir_.path() / "real";
  DataDirectoryWriter writer(real, {});
  writer.begin_directory("pg_tblspc", 0700);
  fs::create_directory(outside_);
  EXPECT_EQ(code_of([&] { writer.symlink("pg_tblspc/1", data_.string()); }), Code::refused);
  EXPECT_EQ(code_of([&] { writer.symlink("pg_tblspc/1", data_.string() + "/"); }), Code::refused);
  EXPECT_TRUE(fs::is_empty(outside_));
}

TEST_F(DataDirectory, ASlashAtItsEndIsNoMatter) {
  DataDirectoryWriter writer(data_.string() + "/", {});
  put(writer, "1", "x");
  writer.finish();
  EXPECT_EQ(read_file(data_ / "1"), "x");
}

TEST_F(DataDirectory, AFileOfAnotherLengthThanToldIsRefused) {
  DataDirectoryWriter writer(data_, {});
  writer.begin_file("a", ByteCount(3), 0600, Timestamp(0));
  EXPECT_EQ(code_of([&] { writer.data("four"); }), Code::corrupt);
  writer.begin_file("b", ByteCount(3), 0600, Timestamp(0));
  writer.data("12");
  EXPECT_EQ(code_of([&] { writer.end_file(); }), Code::corrupt);
}

TEST_F(DataDirectory, States) {
  EXPECT_EQ(directory_state(data_), DirectoryState::absent);
  fs::create_directory(data_);
  EXPECT_EQ(directory_state(data_), DirectoryState::empty);
  // A pid file that a crash left, its number taken by another program: us.
  std::ofstream(data_ / "postmaster.pid") << ::getpid() << "\n";
  EXPECT_EQ(directory_state(data_), DirectoryState::occupied);
  std::ofstream(data_ / "postmaster.pid") << "2147483646\n";
  EXPECT_EQ(directory_state(data_), DirectoryState::occupied);
}

TEST_F(DataDirectory, UnknownOwner) {
  EXPECT_EQ(code_of([&] { DataDirectoryWriter(data_, {"no-such-user-here", {}}); }), Code::config);
  EXPECT_FALSE(fs::exists(data_));
}

TEST_F(DataDirectory, RecoverySettingsReplaceOldOnes) {
  fs::create_directory(data_);
  std::ofstream(data_ / "postgresql.auto.conf")
      << "# kept\nwork_mem = '5MB'\nrestore_command = 'old'\n  Recovery_Target_Name='x'\n"
      << "primary_conninfo = 'host=secret'\nrecovery_prefetch = 'try'";
  std::ofstream(data_ / "standby.signal") << "";
  RecoveryTarget target{
      make_restore_command({"/opt/life boat", "wal-fetch", "it's \\ 100%", "%f", "%p"}),
      parse_timestamp("2026-11-22T17:05:06.123Z")};
  write_recovery_settings(data_, target, test::os_user());
  const auto conf = read_file(data_ / "postgresql.auto.conf").value();
  EXPECT_THAT(conf, HasSubstr("# kept\nwork_mem = '5MB'\nrecovery_prefetch = 'try'\n"));
  EXPECT_THAT(conf, Not(HasSubstr("old")));
  EXPECT_THAT(conf, Not(HasSubstr("Recovery_Target_Name")));
  EXPECT_THAT(conf, Not(HasSubstr("secret")));
  EXPECT_THAT(conf, HasSubstr("recovery_target_time = '2026-11-22 17:05:06.123+00'\n"));
  EXPECT_THAT(conf, HasSubstr("restore_command = '''/opt/life boat'' ''wal-fetch'' "
                              "''it''\\\\''''s \\\\ 100%%'' \"%f\" \"%p\"'\n"));
  EXPECT_TRUE(fs::exists(data_ / "recovery.signal"));
  EXPECT_FALSE(fs::exists(data_ / "standby.signal"));
  const auto once = conf;
  write_recovery_settings(data_, {"cp x %p", std::nullopt}, test::os_user());
  const auto twice = read_file(data_ / "postgresql.auto.conf").value();
  EXPECT_THAT(twice, HasSubstr("recovery_target_time = ''"));
  EXPECT_EQ(std::count(once.begin(), once.end(), '\n'),
            std::count(twice.begin(), twice.end(), '\n'));
  EXPECT_EQ(code_of([&] { write_recovery_settings(data_, {"a\nb", std::nullopt}); }),
            Code::refused);
}

}  // namespace
}  // namespace lifeboat::postgres
