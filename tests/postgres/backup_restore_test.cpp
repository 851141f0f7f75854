#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "postgres/control_file.hpp"
#include "postgres/restore.hpp"
#include "postgres/server.hpp"
#include "real_backup.hpp"

namespace lifeboat::postgres {
namespace {

namespace fs = std::filesystem;
using test::eventually;
using test::Ledger;
using test::LocalServer;
using test::RunningReceiver;
using test::WalArchive;
using testing::HasSubstr;
using testing::IsEmpty;

using test::RealBackup;

TEST_F(RealBackup, LostServerComesBackWithEveryAcknowledgedTransaction) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  Ledger ledger(server_);
  ledger.wait_for_more(200);
  LocalServer restored(dir_.path() / "restored");
  const auto result = back_up_to(restored.data(), writer_options());
  EXPECT_EQ(result.start_timeline, TimelineId(1));
  EXPECT_LT(result.start_lsn, result.stop_lsn);
  EXPECT_THAT(result.backup_label, HasSubstr("LABEL: lifeboat"));
  EXPECT_GT(result.files, 500u);
  EXPECT_GT(result.bytes, ByteCount(10 << 20));
  EXPECT_LE(archive_.begin(TimelineId(1)), result.start_lsn);

  std::string output;
  EXPECT_EQ(
      test::run_program({test::bin("pg_verifybackup"), "--no-parse-wal", restored.data().string()},
                        &output),
      0)
      << output;
  ledger.wait_for_more(500);
  const long archived = ledger.acknowledged();
  wait_for_archive();
  server_.kill();
  ledger.stop();
  receiver.stop();
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_THAT(receiver.thrown(), IsEmpty());

  recover(restored, std::nullopt);
  // What was acknowledged in the last moment need not have been sent: the WAL of a server that is
  // gone ends where the archive ends.
  const long there = std::stol(restored.value("SELECT count(*) FROM first"));
  EXPECT_GE(there, archived);
  EXPECT_EQ(Ledger::compare(restored, there), "");
  expect_sound(restored);
  EXPECT_EQ(restored.value("SELECT timeline_id FROM pg_control_checkpoint()"), "2");
}

TEST_F(RealBackup, ToTheEndOfTheWalNothingIsMissing) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  Ledger ledger(server_);
  LocalServer restored(dir_.path() / "restored");
  back_up_to(restored.data(), writer_options());
  ledger.wait_for_more(300);
  ledger.stop();
  wait_for_archive();
  server_.kill();
  recover(restored, std::nullopt);
  EXPECT_EQ(Ledger::compare(restored, ledger.acknowledged()), "");
}

TEST_F(RealBackup, ToAMomentAndNotFurther) {
  // A target of another kind in postgresql.conf would make the server refuse to start.
  start("recovery_target_name = 'elsewhere'\nrecovery_target_action = 'shutdown'");
  RunningReceiver receiver(server_.config(), archive_);
  LocalServer restored(dir_.path() / "restored");
  server_.sql("CREATE TABLE t(i int)");
  back_up_to(restored.data(), writer_options());
  server_.sql("INSERT INTO t VALUES (1)");
  no_cancel().sleep_for(Millis(20));
  const auto moment = *parse_timestamp(
      server_.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')"));
  no_cancel().sleep_for(Millis(20));
  server_.sql("INSERT INTO t VALUES (2)");
  wait_for_archive();
  server_.kill();
  recover(restored, moment);
  EXPECT_EQ(restored.value("SELECT string_agg(i::text, ',') FROM t"), "1");
  restored.sql("INSERT INTO t VALUES (3)");  // promoted: it takes writes
}

TEST_F(RealBackup, TablespacesComeBack) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  const auto space = dir_.path() / "space";
  fs::create_directory(space);
  if (!test::os_user().empty()) {
    ASSERT_EQ(::chown(space.c_str(), find_owner("postgres")->uid, find_owner("postgres")->gid), 0);
  }
  server_.sql(fmt::format("CREATE TABLESPACE far LOCATION '{}'", space.string()));
  server_.sql("CREATE TABLE t TABLESPACE far AS SELECT i FROM generate_series(1, 50000) i");
  const auto oid = std::stoul(server_.value("SELECT oid FROM pg_tablespace WHERE spcname='far'"));

  LocalServer restored(dir_.path() / "restored");
  // Where it was, it still is: refused.
  try {
    back_up_to(restored.data(), writer_options());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::refused);
    EXPECT_EQ(error.subject(), space.string());
  }
  EXPECT_EQ(directory_state(restored.data()), DirectoryState::unfinished);

  auto options = writer_options();
  options.tablespaces[static_cast<std::uint32_t>(oid)] = dir_.path() / "new_space";
  const auto result = back_up_to(restored.data(), options);
  ASSERT_EQ(result.tablespaces.size(), 1u);
  EXPECT_EQ(result.tablespaces[0].oid, oid);
  EXPECT_EQ(result.tablespaces[0].location, space.string());
  std::string output;
  EXPECT_EQ(
      test::run_program({test::bin("pg_verifybackup"), "--no-parse-wal", restored.data().string()},
                        &output),
      0)
      << output;
  wait_for_archive();
  server_.kill();
  recover(restored, std::nullopt);
  EXPECT_EQ(restored.value("SELECT sum(i) FROM t"), "1250025000");
  EXPECT_EQ(restored.value(fmt::format("SELECT pg_tablespace_location({})", oid)),
            (dir_.path() / "new_space").string());
}

// Sees the backup go by and does something once, in the middle of it.
class Midway : public BackupSink {
 public:
  explicit Midway(std::function<void()> act) : act_(std::move(act)) {}
  void begin_directory(const std::string&, int) override {}
  void symlink(const std::string&, const std::string&) override {}
  void begin_file(const std::string&, ByteCount, int, Timestamp) override {}
  void begin_stream(const std::string&, int) override {}
  void data(std::string_view piece) override {
    EXPECT_LE(piece.size(), 1u << 20);
    seen_ += piece.size();
    if (seen_ > (4 << 20)) std::exchange(act_, [] {})();
  }
  void end_file() override {}
  std::uint64_t seen_ = 0;

 private:
  std::function<void()> act_;
};

TEST_F(RealBackup, AServerKilledMidwayIsAnError) {
  start();
  // Larger than all buffers on the way, so that the server is still sending when it dies.
  server_.sql("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)");
  Midway sink([&] { server_.kill(); });
  try {
    take_base_backup(server_.config(), {}, sink, no_cancel());
    ADD_FAILURE() << "the backup of a dead server";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable) << error.what();
  }
  EXPECT_GT(sink.seen_, 4u << 20);
}

TEST_F(RealBackup, WhatTheSinkThrowsComesOut) {
  start();
  Midway sink([] { throw Error(Code::no_space, "vault", "full"); });
  try {
    take_base_backup(server_.config(), {}, sink, no_cancel());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::no_space);
  }
  // The server gave up on it: the next backup works.
  Midway whole([] {});
  BackupProgress last;
  const auto result = take_base_backup(server_.config(), {"it's a label", true}, whole, no_cancel(),
                                       [&](const BackupProgress& p) { last = p; });
  EXPECT_THAT(result.backup_label, HasSubstr("LABEL: it's a label"));
  EXPECT_GT(last.done, ByteCount(10 << 20));
  EXPECT_GT(last.total, ByteCount(10 << 20));
}

TEST_F(RealBackup, ACancelMidwayEndsIt) {
  start();
  server_.sql("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)");
  Cancel cancel;
  Midway sink([&] { cancel.request(); });
  try {
    take_base_backup(server_.config(), {}, sink, cancel);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled) << error.what();
  }
}

TEST_F(RealBackup, TheControlFileIsReadAndChecked) {
  start();
  server_.sql("CHECKPOINT");
  const auto control = read_control(server_.data());
  EXPECT_EQ(control.system_identifier, identify(server_.config()).system_identifier);
  EXPECT_EQ(to_string(control.redo), server_.value("SELECT redo_lsn FROM pg_control_checkpoint()"));
  EXPECT_EQ(to_string(control.checkpoint),
            server_.value("SELECT checkpoint_lsn FROM pg_control_checkpoint()"));
  EXPECT_EQ(control.timeline, TimelineId(1));
  EXPECT_EQ(control.wal_segment_size, ByteCount(16 << 20));
  EXPECT_TRUE(control.data_checksums);
  EXPECT_FALSE(control.shut_down);
  EXPECT_EQ(directory_state(server_.data()), DirectoryState::running);
  server_.stop();
  EXPECT_TRUE(read_control(server_.data()).shut_down);
  EXPECT_EQ(directory_state(server_.data()), DirectoryState::occupied);

  const auto path = server_.data() / "global" / "pg_control";
  const auto whole = *read_file(path);
  for (std::size_t n = 0; n < 292; ++n) {
    auto flipped = whole;
    flipped[n] = static_cast<char>(flipped[n] ^ 0x10);
    std::ofstream(path, std::ios::binary) << flipped;
    EXPECT_THROW(read_control(server_.data()), Error) << n;
  }
  std::ofstream(path, std::ios::binary) << whole.substr(0, 291);
  EXPECT_THROW(read_control(server_.data()), Error);
  fs::remove(path);
  try {
    read_control(server_.data());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
  }
}

TEST_F(RealBackup, ARunningServersDirectoryIsNotTouched) {
  start();
  EXPECT_THROW(DataDirectoryWriter(server_.data(), writer_options()), Error);
  EXPECT_EQ(server_.value("SELECT 1"), "1");
  EXPECT_FALSE(fs::exists(server_.data() / "lifeboat-restore.unfinished"));
}

// The one that was to be replaced runs still, on another directory.
TEST_F(RealBackup, AnotherServerThatAnswersHasNotRecovered) {
  start();
  const auto restored = dir_.path() / "restored";
  fs::create_directory(restored);
  write_recovery_settings(restored, {"false", {}}, test::os_user());
  const auto wait = [&] {
    wait_until_recovered(server_.config(), restored, Deadline::after(Millis(500)), no_cancel());
  };
  try {
    wait();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::timeout);
    EXPECT_NE(std::string(error.what()).find(restored.string()), std::string::npos);
  }
  fs::remove(restored / "recovery.signal");  // as a server does
  wait();
}

TEST_F(RealBackup, WaitingForARecoveryThatDoesNotEnd) {
  start();
  auto config = server_.config();
  server_.kill();
  try {
    wait_until_recovered(config, server_.data(), Deadline::after(Millis(500)), no_cancel());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::timeout);
  }
  Cancel cancel;
  cancel.request();
  EXPECT_THROW(wait_until_recovered(config, server_.data(), Deadline::never(), cancel), Error);
}

}  // namespace
}  // namespace lifeboat::postgres
