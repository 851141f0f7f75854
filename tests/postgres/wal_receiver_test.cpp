#include "postgres/wal_receiver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "ledger.hpp"
#include "local_server.hpp"
#include "postgres/control_file.hpp"
#include "postgres/restore.hpp"
#include "postgres/server.hpp"
#include "postgres/wal_file.hpp"
#include "wal_archive.hpp"

namespace lifeboat::postgres {
namespace {

namespace fs = std::filesystem;
using test::eventually;
using test::Ledger;
using test::LocalServer;
using test::RunningReceiver;
using test::WalArchive;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr TimelineId t1(1), t2(2), t3(3);
constexpr ByteCount kSegment(16 << 20);
constexpr const char* kSlot = "lifeboat_test";

class RealWal : public testing::Test {
 protected:
  RealWal() : server_(dir_.path() / "pg"), archive_(dir_.path() / "wal") {}

  void start(std::string_view settings = {}) {
    server_.init(settings);
    server_.start();
  }
  void write_some(const LocalServer& server, int rows = 2000) {
    server.sql("CREATE TABLE IF NOT EXISTS t(i int, c text)");
    server.sql(fmt::format("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, {}) i",
                           rows));
  }
  bool archived(const LocalServer& server, TimelineId timeline) {
    const auto end = current_lsn(server.config());
    return eventually([&] { return archive_.end(timeline) >= end; });
  }
  // A copy of the server as of now, not started.
  void copy_server(const fs::path& to) {
    DataDirectoryWriter writer(to, {test::os_user(), {}});
    take_base_backup(server_.config(), {}, writer, no_cancel());
    writer.finish();
  }
  void recover(LocalServer& restored) {
    write_recovery_settings(restored.data(), {archive_.restore_command(), {}}, test::os_user());
    restored.start();
    wait_until_recovered(restored.config(), restored.data(), Deadline::after(Millis(60000)),
                         no_cancel());
  }
  // The archive's bytes [begin, end) of a timeline are those of the server's pg_wal, as far as a
  // checkpoint has not taken older segments away: they are archived.
  void expect_same_wal(const LocalServer& server, TimelineId timeline, Lsn begin) {
    const auto end = archive_.end(timeline);
    ASSERT_LT(begin, end);
    int compared = 0;
    for (auto at = begin; at < end; at = segment_end(at, kSegment)) {
      const auto name = wal_file_name(timeline, at, kSegment);
      const auto ours = read_file(archive_.directory() / name).value();
      const auto theirs = read_file(server.data() / "pg_wal" / name);
      if (!theirs) continue;
      ++compared;
      const auto first = at - segment_start(at, kSegment);
      const auto last = std::min(end, segment_end(at, kSegment)) - segment_start(at, kSegment);
      EXPECT_TRUE(ours.substr(first, last - first) == theirs->substr(first, last - first)) << name;
    }
    EXPECT_GT(compared, 0);
  }

  test::TempDir dir_;
  LocalServer server_;
  WalArchive archive_;
};

TEST_F(RealWal, ByteForByteOverSegments) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  write_some(server_, 200000);  // more than a segment
  ASSERT_TRUE(archived(server_, t1));
  EXPECT_GT(archive_.end(t1) - archive_.begin(t1), kSegment.value);
  expect_same_wal(server_, t1, archive_.begin(t1));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_EQ(slot_state(server_.config(), kSlot).activity, SlotActivity::active);
  const auto status = receiver->status();
  EXPECT_TRUE(status.streaming);
  EXPECT_EQ(status.timeline, t1);
  // The slot is in use: it is not dropped, and a second receiver is told so.
  EXPECT_THROW(drop_slot(server_.config(), kSlot), Error);
  {
    WalArchive other(dir_.path() / "other");
    RunningReceiver second(server_.config(), other);
    EXPECT_TRUE(
        eventually([&] { return second->status().last_error.find("55006") != std::string::npos; }));
    EXPECT_EQ(other.end(t1), Lsn());
  }
  receiver.stop();
  EXPECT_TRUE(eventually(
      [&] { return slot_state(server_.config(), kSlot).activity == SlotActivity::inactive; }));
}

TEST_F(RealWal, OnlyWhatIsDurableIsCalledFlushed) {
  start();
  // No update is due but for what durable() says, and for what the server asks.
  WalReceiverOptions options;
  options.status_interval = Millis(3600000);
  RunningReceiver receiver(server_.config(), archive_, false, options);
  const auto slot_start = [&] { return *slot_state(server_.config(), kSlot).restart_lsn; };
  const auto flush = [&] {
    return server_.sql("SELECT flush_lsn FROM pg_stat_replication").get(0, 0).value_or("0/0");
  };
  write_some(server_);
  ASSERT_TRUE(archived(server_, t1));
  const auto before = slot_start();
  const auto begun = archive_.begin(t1);
  // Long enough for status updates to go out, with all received and nothing durable.
  server_.sql("CHECKPOINT");
  ASSERT_TRUE(eventually([&] { return receiver->status().streaming; }));
  no_cancel().sleep_for(Millis(500));
  EXPECT_LE(*parse_lsn(flush()), before);
  EXPECT_EQ(slot_start(), before);

  const auto system = identify(server_.config()).system_identifier;
  for (const std::uint64_t part : {4, 2, 1}) {
    const Lsn durable = begun + (archive_.end(t1) - begun) / part;
    receiver->durable(system, t1, durable);
    ASSERT_TRUE(eventually([&] { return receiver->status().flushed == durable; }));
    EXPECT_TRUE(eventually([&] { return flush() == to_string(durable); }));
    EXPECT_EQ(slot_start(), durable);
  }
  // Neither another system's position nor one that was never received is passed on.
  receiver->durable(system + 1, t1, archive_.end(t1) + 1000000);
  receiver->durable(system, t2, archive_.end(t1) + 1000000);
  receiver->durable(system, t1, archive_.end(t1) + 1000000000);
  write_some(server_);
  ASSERT_TRUE(archived(server_, t1));
  no_cancel().sleep_for(Millis(300));
  const auto told = *parse_lsn(flush());  // read first: WAL may come between the two
  EXPECT_LE(told, archive_.end(t1));
}

TEST_F(RealWal, AnOrderlyStopWaitsForTheDurableEnd) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  write_some(server_);
  ASSERT_TRUE(archived(server_, t1));
  server_.stop();
  const auto control = read_control(server_.data());
  EXPECT_TRUE(control.shut_down);
  EXPECT_GT(archive_.end(t1), control.checkpoint);  // the shutdown checkpoint came, too
  server_.start();
  write_some(server_);
  ASSERT_TRUE(archived(server_, t1));
  expect_same_wal(server_, t1, archive_.begin(t1));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
}

TEST_F(RealWal, AServerKilledInTheMiddleIsFollowedOn) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  for (int round = 0; round < 3; ++round) {
    std::thread load([&] {
      try {
        write_some(server_, 300000);
      } catch (const Error&) {
        // killed under it
      }
    });
    const auto reached = archive_.end(t1) + 3000000;
    EXPECT_TRUE(eventually([&] { return archive_.end(t1) > reached; }));
    server_.kill();
    load.join();
    EXPECT_TRUE(eventually([&] { return !receiver->status().streaming; }));
    server_.start();
  }
  write_some(server_);
  ASSERT_TRUE(archived(server_, t1));
  expect_same_wal(server_, t1, archive_.begin(t1));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_THAT(archive_.gaps(), IsEmpty());
}

TEST_F(RealWal, ANewReceiverGoesOnWhereTheArchiveEnds) {
  start();
  for (int round = 0; round < 4; ++round) {
    RunningReceiver receiver(server_.config(), archive_);
    write_some(server_, 1000 + round);
    ASSERT_TRUE(archived(server_, t1));
    EXPECT_NE(archive_.end(t1), segment_start(archive_.end(t1), kSegment));
  }
  expect_same_wal(server_, t1, archive_.begin(t1));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
}

TEST_F(RealWal, WhileNobodyListensTheSlotKeepsTheWal) {
  start();
  ensure_slot(server_.config(), kSlot);
  write_some(server_, 300000);
  server_.sql("CHECKPOINT");
  write_some(server_, 300000);
  server_.sql("CHECKPOINT");
  RunningReceiver receiver(server_.config(), archive_);
  ASSERT_TRUE(archived(server_, t1));
  EXPECT_THAT(archive_.gaps(), IsEmpty());
  expect_same_wal(server_, t1, archive_.begin(t1));
}

// Of a superuser, who can list pg_wal, and of a role that can do nothing but replicate.
class RealGap : public RealWal, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(RealSuperuser, RealGap, testing::Bool());

TEST_P(RealGap, RemovedWalIsAGapAndTheStreamGoesOn) {
  start("max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB");
  auto config = server_.config();
  if (!GetParam()) {
    server_.sql("CREATE ROLE archiver LOGIN REPLICATION PASSWORD 'only-replication'");
    config.conninfo += " user=archiver";
    config.password = "only-replication";
  }
  {
    RunningReceiver receiver(config, archive_);
    write_some(server_);
    ASSERT_TRUE(archived(server_, t1));
  }
  const auto held = archive_.end(t1);
  // Segments are dropped at checkpoints, and the slot with them.
  ASSERT_TRUE(eventually([&] {
    write_some(server_, 200000);
    server_.sql("CHECKPOINT");
    return slot_state(server_.config(), kSlot).wal_status == "lost" &&
           !fs::exists(server_.data() / "pg_wal" / wal_file_name(t1, held, kSegment));
  }));
  RunningReceiver receiver(config, archive_);
  ASSERT_TRUE(archived(server_, t1));
  ASSERT_EQ(archive_.gaps().size(), 1u);
  const auto gap = archive_.gaps()[0];
  EXPECT_EQ(gap.from, held);
  EXPECT_EQ(gap.to, segment_start(gap.to, kSegment));
  EXPECT_EQ(receiver->status().gaps, 1u);
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_NE(slot_state(server_.config(), kSlot).wal_status, "lost");
  expect_same_wal(server_, t1, gap.to);
}

TEST_F(RealWal, ARestoredServerIsFollowedOntoItsTimeline) {
  start();
  LocalServer restored(dir_.path() / "restored");
  LocalServer again(dir_.path() / "again");
  {
    RunningReceiver receiver(server_.config(), archive_);
    copy_server(restored.data());
    copy_server(again.data());
    write_some(server_);
    ASSERT_TRUE(archived(server_, t1));
    server_.kill();
  }
  const auto old_end = archive_.end(t1);
  recover(restored);
  EXPECT_EQ(slot_state(restored.config(), kSlot).activity, SlotActivity::absent);
  {
    RunningReceiver receiver(restored.config(), archive_);
    write_some(restored);
    ASSERT_TRUE(archived(restored, t2));
    EXPECT_EQ(archive_.end(t1), old_end);
    expect_same_wal(restored, t2, archive_.begin(t2));
    EXPECT_THAT(archive_.mistakes(), IsEmpty());
    EXPECT_THAT(archive_.gaps(), IsEmpty());
    EXPECT_THAT(archive_.events(), ElementsAre("wal 1", "history 2", "wal 2"));
    const auto history = parse_history(*read_file(archive_.directory() / "00000002.history"));
    ASSERT_EQ(history.size(), 1u);
    EXPECT_EQ(history[0].timeline, t1);
    EXPECT_EQ(archive_.begin(t2), segment_start(history[0].end, kSegment));
  }
  // Lost again: the first backup and both timelines of the archive bring it back.
  const auto rows = restored.value("SELECT count(*) FROM t");
  restored.kill();
  recover(again);
  EXPECT_EQ(again.value("SELECT count(*) FROM t"), rows);
  RunningReceiver receiver(again.config(), archive_);
  write_some(again);
  ASSERT_TRUE(archived(again, t3));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_THAT(archive_.gaps(), IsEmpty());
}

// A standby that takes over while the receiver streams from it.
TEST_F(RealWal, APromotionInTheMiddleOfTheStream) {
  start();
  LocalServer standby(dir_.path() / "standby");
  copy_server(standby.data());
  std::ofstream(standby.data() / "postgresql.auto.conf", std::ios::app)
      << fmt::format("primary_conninfo = 'host=127.0.0.1 port={} user=postgres password={}'\n",
                     server_.port(), LocalServer::kPassword);
  std::ofstream(standby.data() / "standby.signal") << "";
  standby.start();
  RunningReceiver receiver(standby.config(), archive_, false);
  write_some(server_);
  const auto end = current_lsn(server_.config());
  ASSERT_TRUE(eventually([&] { return archive_.end(t1) >= end; }));
  const auto slot = *slot_state(standby.config(), kSlot).restart_lsn;
  server_.kill();
  standby.sql("SELECT pg_promote()");
  write_some(standby);
  ASSERT_TRUE(archived(standby, t2));
  EXPECT_THAT(archive_.events(), ElementsAre("wal 1", "history 2", "wal 2"));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_THAT(archive_.gaps(), IsEmpty());
  expect_same_wal(standby, t2, archive_.begin(t2));
  // The new timeline counts as durable only when the old one is, up to the switch.
  const auto system = identify(standby.config()).system_identifier;
  const auto durable = archive_.end(t2);
  receiver->durable(system, t2, durable);
  no_cancel().sleep_for(Millis(300));
  EXPECT_EQ(*slot_state(standby.config(), kSlot).restart_lsn, slot);
  receiver->durable(system, t1, archive_.end(t1));
  EXPECT_TRUE(eventually([&] { return receiver->status().flushed == durable; }));
}

// The archive lags behind a switch, and the server still has the old timeline's WAL.
TEST_F(RealWal, TheOldTimelineIsFetchedToItsEndFirst) {
  start("wal_keep_size = 512MB");
  {
    RunningReceiver receiver(server_.config(), archive_);
    write_some(server_);
    ASSERT_TRUE(archived(server_, t1));
  }
  write_some(server_, 200000);  // nobody listens
  const auto end = current_lsn(server_.config());
  std::ofstream(server_.data() / "recovery.signal") << "";
  server_.stop();
  std::ofstream(server_.data() / "postgresql.auto.conf", std::ios::app)
      << "restore_command = 'false'\n";
  server_.start();
  wait_until_recovered(server_.config(), server_.data(), Deadline::after(Millis(60000)),
                       no_cancel());
  write_some(server_);
  RunningReceiver receiver(server_.config(), archive_);
  ASSERT_TRUE(archived(server_, t2));
  EXPECT_GE(archive_.end(t1), end);
  EXPECT_THAT(archive_.events(), ElementsAre("wal 1", "history 2", "wal 2"));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  EXPECT_THAT(archive_.gaps(), IsEmpty());
}

// The same, but the old timeline's WAL went down with the old server.
TEST_F(RealWal, AnOldTimelineThatIsGoneIsAGapToItsEnd) {
  start();
  {
    RunningReceiver receiver(server_.config(), archive_);
    write_some(server_);
    ASSERT_TRUE(archived(server_, t1));
  }
  const auto held = archive_.end(t1);
  WalArchive other(dir_.path() / "other");
  LocalServer restored(dir_.path() / "restored");
  {
    RunningReceiver receiver(server_.config(), other);
    write_some(server_, 200000);
    copy_server(restored.data());
    const auto end = current_lsn(server_.config());
    ASSERT_TRUE(eventually([&] { return other.end(t1) >= end; }));
    server_.kill();
  }
  write_recovery_settings(restored.data(), {other.restore_command(), {}}, test::os_user());
  restored.start();
  wait_until_recovered(restored.config(), restored.data(), Deadline::after(Millis(60000)),
                       no_cancel());
  RunningReceiver receiver(restored.config(), archive_);
  write_some(restored);
  ASSERT_TRUE(archived(restored, t2));
  const auto history = parse_history(*read_file(archive_.directory() / "00000002.history"));
  ASSERT_FALSE(archive_.gaps().empty());
  EXPECT_EQ(archive_.gaps()[0].from, held);
  EXPECT_EQ(archive_.end(t1), history[0].end);
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
  expect_same_wal(restored, t2, archive_.begin(t2));
}

TEST_F(RealWal, AnOlderCopyOfTheServerIsNotTakenForItsContinuation) {
  start();
  LocalServer old_copy(dir_.path() / "old");
  {
    RunningReceiver receiver(server_.config(), archive_);
    copy_server(old_copy.data());
    ASSERT_TRUE(archived(server_, t1));
    write_some(server_, 20000);
    ASSERT_TRUE(archived(server_, t1));
    server_.kill();
  }
  const auto held = archive_.end(t1);
  // Started without recovery.signal: it writes its own story on the same timeline.
  fs::copy(archive_.directory(), old_copy.data() / "pg_wal",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  fs::remove(old_copy.data() / "backup_label");
  if (auto owner = find_owner(test::os_user())) {
    for (const auto& entry : fs::directory_iterator(old_copy.data() / "pg_wal")) {
      ASSERT_EQ(::chown(entry.path().c_str(), owner->uid, owner->gid), 0);
    }
  }
  for (const auto& entry : fs::directory_iterator(old_copy.data() / "pg_wal")) {
    if (entry.path().filename() > wal_file_name(t1, Lsn(held.value - (4 << 20)), kSegment)) {
      fs::remove_all(entry.path());
    }
  }
  const auto last = old_copy.data() / "pg_wal" / wal_file_name(t1, held, kSegment);
  if (fs::exists(last)) {  // cut the last 64 KiB of WAL off
    std::fstream file(last, std::ios::in | std::ios::out | std::ios::binary);
    const auto keep = held - segment_start(held, kSegment) - (64 << 10);
    file.seekp(static_cast<std::streamoff>(keep));
    file << std::string(128 << 10, '\0');
  }
  old_copy.start();
  ASSERT_LT(current_lsn(old_copy.config()), held);
  RunningReceiver receiver(old_copy.config(), archive_);
  ASSERT_TRUE(eventually([&] {
    return receiver->status().last_error.find("archived already") != std::string::npos;
  })) << receiver->status().last_error;
  EXPECT_EQ(archive_.end(t1), held);
}

TEST_F(RealWal, WhatTheSinkThrowsEndsTheRun) {
  start();
  archive_.fail_after = 100000;
  RunningReceiver receiver(server_.config(), archive_);
  write_some(server_);
  ASSERT_TRUE(eventually([&] { return !receiver->status().last_error.empty(); }));
  receiver.stop();
  EXPECT_EQ(receiver.thrown(), "the archive broke");
  archive_.fail_after.reset();
  RunningReceiver next(server_.config(), archive_);
  ASSERT_TRUE(archived(server_, t1));
  EXPECT_THAT(archive_.mistakes(), IsEmpty());
}

TEST_F(RealWal, AWrongPasswordIsWaitedOutAndSaid) {
  start();
  auto config = server_.config();
  config.password = "not-yet-the-password";
  RunningReceiver receiver(config, archive_);
  ASSERT_TRUE(
      eventually([&] { return receiver->status().last_error.find("28P01") != std::string::npos; }));
  EXPECT_THAT(receiver->status().last_error, testing::Not(HasSubstr("not-yet")));
  server_.sql("ALTER ROLE postgres PASSWORD 'not-yet-the-password'");
  ASSERT_TRUE(eventually([&] { return receiver->status().streaming; }));
}

}  // namespace
}  // namespace lifeboat::postgres
