#include "postgres/file_backup.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <set>

#include "base/checksum.hpp"
#include "base/file.hpp"
#include "real_backup.hpp"

namespace lifeboat::postgres {
namespace {

namespace fs = std::filesystem;
using test::eventually;
using test::Ledger;
using test::LocalServer;
using test::RunningReceiver;
using testing::HasSubstr;
using testing::IsEmpty;

// Files into a data directory, as if none were known.
class IntoDirectory : public FileSink {
 public:
  explicit IntoDirectory(DataDirectoryWriter& writer) : writer_(writer) {}
  bool known(const FileFacts&) override { return false; }
  void begin_directory(const std::string& path, int mode) override {
    writer_.begin_directory(path, mode);
  }
  void symlink(const std::string& path, const std::string& target) override {
    writer_.symlink(path, target);
  }
  void begin_file(const std::string& path, ByteCount size, int mode, Timestamp mtime) override {
    writer_.begin_file(path, size, mode, mtime);
  }
  void begin_stream(const std::string& path, int mode) override {
    writer_.begin_stream(path, mode);
  }
  void data(std::string_view piece) override { writer_.data(piece); }
  void end_file() override { writer_.end_file(); }

 private:
  DataDirectoryWriter& writer_;
};

// What there was: paths in order, the SHA-256 of each file, its facts.
class Seen : public FileSink {
 public:
  struct File {
    std::string digest;
    FileFacts facts;
  };
  bool known(const FileFacts& file) override {
    facts_ = file;
    return false;
  }
  void begin_directory(const std::string& path, int) override { directories.insert(path); }
  void symlink(const std::string& path, const std::string& target) override {
    links[path] = target;
  }
  void begin_file(const std::string& path, ByteCount size, int, Timestamp) override {
    path_ = path;
    size_ = size;
    data_.clear();
  }
  void begin_stream(const std::string& path, int) override {
    begin_file(path, ByteCount(0), 0, Timestamp(0));
    size_.reset();
  }
  void data(std::string_view piece) override {
    if (std::exchange(act, false)) on_data();
    data_ += piece;
  }
  void end_file() override {
    if (size_) {
      EXPECT_EQ(data_.size(), size_->value) << path_;
    }
    EXPECT_TRUE(files.emplace(path_, File{sha256(data_).hex(), std::exchange(facts_, {})}).second)
        << path_;
    order.push_back(path_);
  }
  std::set<std::string> paths() const {
    std::set<std::string> out;
    for (const auto& [path, file] : files) out.insert(path);
    return out;
  }

  std::set<std::string> directories;
  std::map<std::string, std::string> links;
  std::map<std::string, File> files;
  std::vector<std::string> order;
  bool act = false;  // at the next piece, once
  std::function<void()> on_data;

 private:
  std::string path_, data_;
  std::optional<ByteCount> size_;
  FileFacts facts_;
};

class RealFileBackup : public test::RealBackup {
 protected:
  BackupResult copy_to(const fs::path& directory, WriterOptions options) {
    DataDirectoryWriter writer(directory, std::move(options));
    IntoDirectory sink(writer);
    const auto result = take_file_backup(server_.config(), {}, server_.data(), sink, no_cancel());
    writer.finish();
    return result;
  }
  Seen look() {
    Seen seen;
    take_file_backup(server_.config(), {}, server_.data(), seen, no_cancel());
    return seen;
  }
  Error refusal(const fs::path& directory) {
    Seen seen;
    try {
      take_file_backup(server_.config(), {}, directory, seen, no_cancel());
    } catch (const Error& error) {
      EXPECT_THAT(seen.files, IsEmpty());
      return error;
    }
    ADD_FAILURE() << "took " << directory;
    return Error(Code::failed, "", "");
  }
};

TEST_F(RealFileBackup, LostServerComesBackWithEveryAcknowledgedTransaction) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  Ledger ledger(server_);
  ledger.wait_for_more(200);
  LocalServer restored(dir_.path() / "restored");
  const auto result = copy_to(restored.data(), writer_options());
  EXPECT_EQ(result.start_timeline, TimelineId(1));
  EXPECT_LT(result.start_lsn, result.stop_lsn);
  EXPECT_THAT(result.backup_label, HasSubstr("LABEL: lifeboat"));
  EXPECT_GT(result.files, 500u);
  EXPECT_GT(result.bytes, ByteCount(10 << 20));
  EXPECT_LE(archive_.begin(TimelineId(1)), result.start_lsn);
  ledger.wait_for_more(500);
  const long archived = ledger.acknowledged();
  wait_for_archive();
  server_.kill();
  ledger.stop();
  receiver.stop();
  recover(restored, std::nullopt);
  const long there = std::stol(restored.value("SELECT count(*) FROM first"));
  EXPECT_GE(there, archived);
  EXPECT_EQ(Ledger::compare(restored, there), "");
  expect_sound(restored);
}

// The server itself is the judge of what belongs to a base backup.
TEST_F(RealFileBackup, HoldsWhatTheServersOwnHolds) {
  start("autovacuum = off");
  const auto space = dir_.path() / "space";
  fs::create_directory(space);
  if (!test::os_user().empty()) {
    ASSERT_EQ(::chown(space.c_str(), find_owner("postgres")->uid, find_owner("postgres")->gid), 0);
  }
  server_.sql(fmt::format("CREATE TABLESPACE far LOCATION '{}'", space.string()));
  server_.sql("CREATE TABLE t TABLESPACE far AS SELECT i FROM generate_series(1, 50000) i");
  server_.sql("CREATE UNLOGGED TABLE u AS SELECT i FROM generate_series(1, 50000) i");
  server_.sql("CREATE UNLOGGED TABLE v TABLESPACE far AS SELECT i FROM generate_series(1, 9) i");
  server_.sql("VACUUM");
  for (const auto* stray :
       {"base/1/t3_16384", "base/1/t3_16384_fsm.1", "base/1/pgsql_tmp3.4",
        "base/1/pg_internal.init.77", "base/1/not_a_relation", "backup_label.old",
        "base/1/99999_init", "base/1/99999", "base/1/99999_vm.2", "global/t_1",
        "postgresql.auto.conf.tmp", "tablespace_map", "pg_stat_tmp/db_0.stat"}) {
    std::ofstream(server_.data() / stray) << "stray";
  }
  fs::create_symlink("/etc/hostname", server_.data() / "link");
  Connection temporary(server_.config(), Mode::sql);
  temporary.query("CREATE TEMPORARY TABLE w AS SELECT i FROM generate_series(1, 50000) i");
  server_.sql("CHECKPOINT");

  Seen theirs;
  const auto sent = take_base_backup(server_.config(), {}, theirs, no_cancel());
  theirs.files.erase("backup_manifest");
  Seen ours;
  const auto read = take_file_backup(server_.config(), {}, server_.data(), ours, no_cancel());
  EXPECT_EQ(ours.paths(), theirs.paths());
  EXPECT_EQ(ours.directories, theirs.directories);
  EXPECT_EQ(ours.links, theirs.links);
  // Of a server at rest nothing differs but what the two backups wrote.
  for (const auto& [path, file] : ours.files) {
    if (path == "backup_label" || path == "global/pg_control" || path.starts_with("pg_logical/") ||
        path.starts_with("log/")) {
      continue;
    }
    EXPECT_EQ(file.digest, theirs.files[path].digest) << path;
  }
  EXPECT_EQ(ours.order[ours.order.size() - 2], "global/pg_control");
  EXPECT_EQ(read.files + 0, sent.files);
  ASSERT_EQ(read.tablespaces.size(), 1u);
  EXPECT_EQ(read.tablespaces[0].oid, sent.tablespaces[0].oid);
  EXPECT_EQ(read.tablespaces[0].location, space.string());
}

// The server's own base backup is the judge here too.
TEST_F(RealFileBackup, ADamagedPageIsNamedAndNoBackupIsMade) {
  start();
  server_.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 50000) i");
  server_.sql("CHECKPOINT");
  const auto path = server_.value("SELECT pg_relation_filepath('t')");
  auto flip = [&] {  // of the third page
    std::fstream file(server_.data() / path, std::ios::in | std::ios::out | std::ios::binary);
    const std::streamoff at = 2 * 8192 + 5000;
    file.seekg(at);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
    ASSERT_TRUE(file.flush());
  };
  EXPECT_GT(look().files.size(), 500u);
  flip();
  Seen seen;
  EXPECT_THROW(take_base_backup(server_.config(), {}, seen, no_cancel()), Error);
  try {
    look();
    ADD_FAILURE() << "the damaged page was taken for a good one";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::corrupt);
    EXPECT_THAT(error.message(),
                HasSubstr("1 page does not match its checksum: block 2 of " + path));
    EXPECT_EQ(server_.value(error.hint().substr(error.hint().find("SELECT"))), "t");
  }
  flip();
  EXPECT_GT(look().files.size(), 500u);
}

TEST_F(RealFileBackup, TablespacesComeBack) {
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
  auto options = writer_options();
  options.tablespaces[static_cast<std::uint32_t>(oid)] = dir_.path() / "new_space";
  copy_to(restored.data(), options);
  wait_for_archive();
  server_.kill();
  recover(restored, std::nullopt);
  EXPECT_EQ(restored.value("SELECT sum(i) FROM t"), "1250025000");
}

TEST_F(RealFileBackup, AStandbysFilesComeBack) {
  start();
  RunningReceiver receiver(server_.config(), archive_);
  Ledger ledger(server_);
  ledger.wait_for_more(100);
  LocalServer standby(dir_.path() / "standby");
  back_up_to(standby.data(), writer_options());
  std::ofstream(standby.data() / "postgresql.auto.conf", std::ios::app)
      << "primary_conninfo = '" << server_.config().conninfo
      << " password=" << LocalServer::kPassword << "'\n";
  std::ofstream(standby.data() / "standby.signal") << "";
  standby.start();
  ledger.wait_for_more(200);
  const auto reached = current_lsn(server_.config());
  ASSERT_TRUE(eventually([&] { return current_lsn(standby.config()) >= reached; }));
  LocalServer restored(dir_.path() / "restored");
  {
    DataDirectoryWriter writer(restored.data(), writer_options());
    IntoDirectory sink(writer);
    const auto result = take_file_backup(standby.config(), {}, standby.data(), sink, no_cancel());
    EXPECT_THAT(result.backup_label, HasSubstr("BACKUP FROM: standby"));
    EXPECT_LT(result.start_lsn, result.stop_lsn);
    writer.finish();
  }
  standby.stop();
  ledger.wait_for_more(200);
  const long archived = ledger.acknowledged();
  wait_for_archive();
  server_.kill();
  ledger.stop();
  receiver.stop();
  fs::remove(restored.data() / "standby.signal");
  recover(restored, std::nullopt);
  const long there = std::stol(restored.value("SELECT count(*) FROM first"));
  EXPECT_GE(there, archived);
  EXPECT_EQ(Ledger::compare(restored, there), "");
  expect_sound(restored);
}

// What is settled and has the same stamp has the same bytes: the promise that a file is not read
// for. Every file is read here, between writes of all kinds.
TEST_F(RealFileBackup, WhatIsSettledAndLooksTheSameIsTheSame) {
  start("checkpoint_timeout = 30s\nmax_wal_size = 64MB");
  server_.sql("CREATE TABLE busy(i int PRIMARY KEY, n int) WITH (fillfactor = 50)");
  server_.sql("INSERT INTO busy SELECT i, 0 FROM generate_series(1, 200000) i");
  server_.sql("CREATE TABLE quiet AS SELECT i FROM generate_series(1, 200000) i");
  server_.sql("VACUUM FREEZE");
  server_.sql("CHECKPOINT");
  const auto busy = server_.value("SELECT pg_relation_filepath('busy')");
  const auto quiet = server_.value("SELECT pg_relation_filepath('quiet')");
  Seen before;
  ASSERT_TRUE(eventually([&] {
    server_.sql("CHECKPOINT");
    server_.sql("UPDATE busy SET n = n + 1 WHERE i % 1000 = 0");
    before = look();
    return before.files.at(quiet).facts.settled;
  }));
  EXPECT_FALSE(before.files.at(busy).facts.settled);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int round = 0; !stop; ++round) {
      server_.sql(fmt::format("UPDATE busy SET n = n + 1 WHERE i % 97 = {}", round % 97));
      if (round % 10 == 0) server_.sql("CHECKPOINT");
    }
  });
  std::size_t same = 0;
  for (int round = 0; round < 6; ++round) {
    if (round == 3) server_.sql("UPDATE quiet SET i = -i WHERE i = 77");
    auto now = look();
    for (const auto& [path, file] : now.files) {
      const auto old = before.files.find(path);
      if (old == before.files.end() || !old->second.facts.settled) continue;
      const auto& was = old->second.facts;
      if (was.inode != file.facts.inode || was.changed != file.facts.changed ||
          was.size != file.facts.size) {
        continue;
      }
      ++same;
      EXPECT_EQ(file.digest, old->second.digest) << path;
      EXPECT_FALSE(round == 3 && path == quiet);
    }
    before = std::move(now);
  }
  stop = true;
  writer.join();
  EXPECT_GT(same, 1000u);
}

TEST_F(RealFileBackup, WithoutWholePagesInTheWalNothingIsSettled) {
  start("full_page_writes = off");
  for (const auto& [path, file] : look().files) EXPECT_FALSE(file.facts.settled) << path;
}

TEST_F(RealFileBackup, AnotherDirectoryIsRefused) {
  start();
  EXPECT_EQ(refusal(dir_.path() / "nothing").code(), Code::not_found);
  const auto other = (dir_.path() / "other").string();  // another cluster
  ASSERT_EQ(test::run_program({test::bin("initdb"), "-D", other}), 0);
  const auto error = refusal(other);
  EXPECT_EQ(error.code(), Code::refused);
  EXPECT_THAT(error.message(), HasSubstr("system identifier"));
  EXPECT_THAT(error.hint(), HasSubstr("postgres.data_directory"));
  RunningReceiver receiver(server_.config(), archive_);
  LocalServer copy(dir_.path() / "copy");  // the same cluster's
  copy_to(copy.data(), writer_options());
  EXPECT_THAT(refusal(copy.data()).message(), HasSubstr("no server runs on it"));
  wait_for_archive();
  recover(copy, std::nullopt);
  EXPECT_THAT(refusal(copy.data()).message(), HasSubstr("another server runs on it"));
  // A copy with the right postmaster.pid, as a file system's snapshot of the directory has it.
  copy.stop();
  const auto pid = *read_file(server_.data() / "postmaster.pid");
  std::ofstream(copy.data() / "postmaster.pid") << pid;
  EXPECT_THAT(refusal(copy.data()).message(), HasSubstr("its last checkpoint is"));
}

TEST_F(RealFileBackup, ARoleThatMayNotIsToldWhatItLacks) {
  start();
  server_.sql("CREATE ROLE weak LOGIN REPLICATION PASSWORD 'sesame-open-9317'");
  auto config = server_.config();
  config.conninfo = fmt::format("host=127.0.0.1 port={} user=weak dbname=postgres", server_.port());
  Seen seen;
  try {
    take_file_backup(config, {}, server_.data(), seen, no_cancel());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::denied) << error.what();
    EXPECT_THAT(error.hint(), HasSubstr("GRANT EXECUTE ON FUNCTION pg_backup_start"));
    server_.sql(error.hint().substr(error.hint().find("GRANT")));  // what it says helps
  }
  auto findings = check_file_backup(config, server_.data());
  ASSERT_EQ(findings.size(), 2u);
  for (const auto& finding : findings) EXPECT_TRUE(finding.ok) << finding.name << finding.what;
  take_file_backup(config, {}, server_.data(), seen, no_cancel());
  EXPECT_GT(seen.files.size(), 500u);
  server_.sql("REVOKE EXECUTE ON FUNCTION pg_backup_stop(boolean) FROM weak");
  findings = check_file_backup(config, dir_.path());
  EXPECT_FALSE(findings[0].ok);
  EXPECT_FALSE(findings[1].ok);
  EXPECT_THAT(findings[1].hint, HasSubstr("TO weak"));
}

TEST_F(RealFileBackup, AServerKilledMidwayIsAnError) {
  start();
  Seen sink;
  sink.act = true;
  sink.on_data = [&] { server_.kill(); };
  try {
    take_file_backup(server_.config(), {}, server_.data(), sink, no_cancel());
    ADD_FAILURE() << "the backup of a dead server";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable) << error.what();
  }
}

}  // namespace
}  // namespace lifeboat::postgres
