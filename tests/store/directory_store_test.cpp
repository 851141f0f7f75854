#include "store/directory_store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include "base/error.hpp"
#include "store_fixture.hpp"

namespace lifeboat::store {
namespace {

namespace fs = std::filesystem;

Code code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing thrown";
  return Code::failed;
}

void write_raw(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << bytes;
}

std::size_t files_in(const fs::path& path) {
  if (!fs::exists(path)) return 0;
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

TEST(DirectoryStore, AMissingDirectoryIsSaidSo) {
  TemporaryDirectory directory;
  try {
    DirectoryStore store(directory.path() / "not" / "there");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_NE(std::string(error.what()).find("not/there: does not exist"), std::string::npos);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(DirectoryStore, CreateMakesTheParents) {
  TemporaryDirectory directory;
  auto path = directory.path() / "a" / "b" / "vault";
  DirectoryStore::create(path);
  DirectoryStore::create(path);
  DirectoryStore(path).put("x", "y");
  EXPECT_EQ(DirectoryStore(path).get("x"), "y");
}

TEST(DirectoryStore, AContentThatComesBackHasAnotherVersion) {
  TemporaryDirectory directory;
  DirectoryStore store(directory.path());
  std::set<std::string> seen;
  for (int i = 0; i < 300; ++i) {
    store.put("v", i % 2 == 0 ? "a" : "b");
    EXPECT_TRUE(seen.insert(store.stat("v")->version).second) << "change " << i;
  }
}

TEST(DirectoryStore, OneOfManyProcessesCreates) {
  TemporaryDirectory directory;
  constexpr int kProcesses = 5, kRounds = 20;
  in_processes(kProcesses, [&](int me) {
    DirectoryStore store(directory.path());
    for (int round = 0; round < kRounds; ++round) {
      auto name = "race/" + std::to_string(round);
      auto mine = std::to_string(me);
      if (store.put_if_absent(name, mine) == PutResult::written) {
        store.put("won/" + std::to_string(round) + "-" + mine, "");
        if (store.get(name) != mine) return 1;
      }
    }
    return 0;
  });
  DirectoryStore store(directory.path());
  int wins = 0;
  store.list("won/", [&](const ObjectInfo&) { ++wins; });
  EXPECT_EQ(wins, kRounds);
}

TEST(DirectoryStore, NoIncrementIsLostBetweenProcesses) {
  TemporaryDirectory directory;
  DirectoryStore store(directory.path());
  store.put("counter", "0");
  in_processes(4, [&](int) {
    DirectoryStore own(directory.path());
    increment(own, "counter", 20);
    return 0;
  });
  EXPECT_EQ(store.get("counter"), "80");
}

TEST(DirectoryStore, AWriterKilledAtAnyTimeLeavesWholeObjectsOnly) {
  TemporaryDirectory directory;
  std::string bytes(200'000, 'z');
  for (int round = 0; round < 10; ++round) {
    pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      DirectoryStore store(directory.path());
      for (int i = 0;; ++i) store.put_if_absent("k/" + std::to_string(round * 1000 + i), bytes);
    }
    // Killed once it has written something, at whatever it is doing then.
    DirectoryStore store(directory.path());
    while (!store.get("k/" + std::to_string(round * 1000))) ::usleep(100);
    ::usleep(static_cast<useconds_t>(round * 700));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    store.list("k/", [&](const ObjectInfo& info) { EXPECT_EQ(info.size.value, bytes.size()); });
    store.list("", [&](const ObjectInfo& info) { EXPECT_TRUE(info.name.starts_with("k/")); });
  }
}

TEST(DirectoryStore, OldLeftoversGoYoungOnesAndThoseInUseStay) {
  TemporaryDirectory directory;
  auto tmp = directory.path() / ".tmp";
  write_raw(tmp / "old", "x");
  write_raw(tmp / "young", "x");
  write_raw(tmp / "in-use", "x");
  auto two_hours_ago = fs::file_time_type::clock::now() - std::chrono::hours(2);
  fs::last_write_time(tmp / "old", two_hours_ago);
  fs::last_write_time(tmp / "in-use", two_hours_ago);
  Fd held = open_file(tmp / "in-use", O_RDONLY);
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);

  DirectoryStore store(directory.path());
  store.list("", [](const ObjectInfo& info) { ADD_FAILURE() << info.name << " is no object"; });
  store.put("x", "y");
  EXPECT_FALSE(fs::exists(tmp / "old"));
  EXPECT_TRUE(fs::exists(tmp / "young"));
  EXPECT_TRUE(fs::exists(tmp / "in-use"));
  EXPECT_EQ(files_in(tmp), 2u);  // of its own: nothing left
}

TEST(DirectoryStore, SymbolicLinksAreRefused) {
  TemporaryDirectory directory, elsewhere;
  write_raw(elsewhere.path() / "secret", "secret");
  fs::create_symlink(elsewhere.path() / "secret", directory.path() / "link");
  fs::create_symlink(elsewhere.path(), directory.path() / "dir");
  DirectoryStore store(directory.path());
  EXPECT_EQ(code_of([&] { store.get("link"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.stat("link"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.put("link", "x"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.put_if_absent("link", "x"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.remove("link"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.get("dir/secret"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.put("dir/new", "x"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.list("", [](const ObjectInfo&) {}); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.list("dir/", [](const ObjectInfo&) {}); }), Code::refused);
  EXPECT_EQ(files_in(elsewhere.path()), 1u);
  EXPECT_EQ(fs::file_size(elsewhere.path() / "secret"), 6u);
}

TEST(DirectoryStore, ATemporaryDirectoryThatLeadsElsewhereIsRefused) {
  TemporaryDirectory directory, elsewhere;
  fs::create_symlink(elsewhere.path(), directory.path() / ".tmp");
  DirectoryStore store(directory.path());
  EXPECT_EQ(code_of([&] { store.put("a", "x"); }), Code::refused);
  EXPECT_EQ(files_in(elsewhere.path()), 0u);
}

TEST(DirectoryStore, SpecialFilesDoNotHangIt) {
  TemporaryDirectory directory;
  ASSERT_EQ(::mkfifo((directory.path() / "fifo").c_str(), 0600), 0);
  DirectoryStore store(directory.path());
  EXPECT_EQ(code_of([&] { store.get("fifo"); }), Code::refused);
  EXPECT_EQ(code_of([&] { store.list("", [](const ObjectInfo&) {}); }), Code::refused);
}

TEST(DirectoryStore, AnObjectCannotBeADirectoryOfOthers) {
  TemporaryDirectory directory;
  DirectoryStore store(directory.path());
  store.put("a/b", "x");
  EXPECT_THROW(store.put("a", "y"), Error);
  EXPECT_THROW(store.put_if_absent("a", "y"), Error);
  EXPECT_THROW(store.put("a/b/c", "y"), Error);
  EXPECT_EQ(store.get("a/b"), "x");
  EXPECT_EQ(files_in(directory.path() / ".tmp"), 0u);
}

TEST(DirectoryStore, ForeignFilesAreNotObjects) {
  TemporaryDirectory directory;
  write_raw(directory.path() / "lost+found" / "x", "x");
  write_raw(directory.path() / "note~", "x");
  DirectoryStore store(directory.path());
  store.list("", [](const ObjectInfo& info) { ADD_FAILURE() << info.name; });
}

// In a process of its own, with a file system of one megabyte that only it sees.
int fill_a_small_disk(const fs::path& directory) {
  if (::geteuid() == 0 ? ::unshare(CLONE_NEWNS) != 0
                       : ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return 77;
  }
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (::mount("none", directory.c_str(), "tmpfs", 0, "size=1m") != 0) return 77;
  DirectoryStore store(directory);
  store.put("small", "before");
  std::string large(2'000'000, 'x');
  for (int i = 0; i < 3; ++i) {
    if (code_of([&] { store.put("small", large); }) != Code::no_space) return 1;
    if (code_of([&] { store.put_if_absent("large", large); }) != Code::no_space) return 2;
  }
  if (files_in(directory / ".tmp") != 0) return 3;
  if (store.get("small") != "before" || store.stat("large")) return 4;
  store.put("fits", std::string(500'000, 'y'));  // the space is back
  return 0;
}

TEST(DirectoryStore, AFullDiskIsNoSpaceAndLeavesNothing) {
  TemporaryDirectory directory;
  pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) ::_exit(fill_a_small_disk(directory.path()));
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "COULD NOT VERIFY: this machine lets nobody mount a small file system";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(DirectoryStore, ReadingWorksWhereNothingCanBeWritten) {
  TemporaryDirectory directory;
  DirectoryStore(directory.path()).put("a/b", "x");
  fs::remove_all(directory.path() / ".tmp");
  fs::permissions(directory.path(), fs::perms::owner_read | fs::perms::owner_exec);
  in_processes(1, [&](int) {
    if (::geteuid() == 0) {  // root may write everywhere: become nobody
      if (::chown(directory.path().c_str(), 65534, 65534) != 0) return 5;
      for (const auto& entry : fs::recursive_directory_iterator(directory.path())) {
        if (::chown(entry.path().c_str(), 65534, 65534) != 0) return 5;
      }
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 5;
    }
    DirectoryStore store(directory.path());
    if (store.get("a/b") != "x" || !store.stat("a/b")) return 1;
    return code_of([&] { store.put("a/c", "y"); }) == Code::denied ? 0 : 2;
  });
  fs::permissions(directory.path(), fs::perms::owner_all);
}

}  // namespace
}  // namespace lifeboat::store
