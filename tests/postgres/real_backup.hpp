#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "ledger.hpp"
#include "local_server.hpp"
#include "postgres/base_backup.hpp"
#include "postgres/restore.hpp"
#include "postgres/server.hpp"
#include "wal_archive.hpp"

namespace lifeboat::postgres::test {

// A server, an archive for its WAL, and what becomes of them in another directory.
class RealBackup : public ::testing::Test {
 protected:
  RealBackup() : server_(dir_.path() / "pg"), archive_(dir_.path() / "wal") {}

  void start(std::string_view settings = {}) {
    server_.init(settings);
    server_.start();
  }
  WriterOptions writer_options() const { return {os_user(), {}}; }
  BackupResult back_up_to(const fs::path& directory, WriterOptions options) {
    DataDirectoryWriter writer(directory, std::move(options));
    const auto result = take_base_backup(server_.config(), {}, writer, no_cancel());
    writer.finish();
    return result;
  }
  // All that is flushed now has come to the archive.
  void wait_for_archive() {
    const auto end = current_lsn(server_.config());
    ASSERT_TRUE(eventually([&] { return archive_.end(TimelineId(1)) >= end; }));
  }
  void recover(LocalServer& restored, std::optional<Timestamp> to) {
    write_recovery_settings(restored.data(), {archive_.restore_command(), to}, os_user());
    restored.start();
    wait_until_recovered(restored.config(), restored.data(), Deadline::after(Millis(60000)),
                         no_cancel());
  }
  static void expect_sound(LocalServer& restored) {
    std::string output;
    ::setenv("PGPASSWORD", LocalServer::kPassword, 1);
    EXPECT_EQ(
        run_program({bin("pg_amcheck"), "-h", "127.0.0.1", "-p", std::to_string(restored.port()),
                     "-U", "postgres", "--all", "--install-missing", "--heapallindexed"},
                    &output),
        0)
        << output;
    ::unsetenv("PGPASSWORD");
  }

  TempDir dir_;
  LocalServer server_;
  WalArchive archive_;
};

}  // namespace lifeboat::postgres::test
