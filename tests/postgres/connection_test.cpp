#include "postgres/connection.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "base/file.hpp"
#include "local_server.hpp"
#include "postgres/server.hpp"
#include "postgres/server_error.hpp"

namespace lifeboat::postgres {
namespace {

using test::LocalServer;
using testing::HasSubstr;
using testing::Not;

// The Error that `f` throws; the test fails when it throws none.
template <typename F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Code::failed, "", "nothing was thrown");
}

void expect_no_secret(const Error& error, const std::string& secret) {
  EXPECT_THAT(std::string(error.what()) + error.hint() + error.subject(), Not(HasSubstr(secret)));
}

TEST(Connection, AConnectionStringThatCannotBeReadShowsNoPassword) {
  for (const char* text : {"password=geheim123 geheim123", "postgresql://u:geheim123@h:geheim123/x",
                           "postgresql://u:p@geheim123@host/x", "postgresql://u:geheim123%zz@h/",
                           "geheim123", "host='geheim123"}) {
    const auto error = error_of([&] { Connection({text, {}, Millis(2000)}, Mode::sql); });
    EXPECT_EQ(error.code(), Code::config) << text << ": " << error.what();
    expect_no_secret(error, "geheim123");
  }
}

TEST(Connection, NobodyListens) {
  const auto error = error_of([] {
    Connection({"host=127.0.0.1 port=1 password=geheim123", {}, Millis(5000)}, Mode::sql);
  });
  EXPECT_EQ(error.code(), Code::unavailable);
  EXPECT_EQ(error.subject(), "PostgreSQL 127.0.0.1:1");
  expect_no_secret(error, "geheim123");
}

// A server that takes the connection and never says a word.
class Silent {
 public:
  Silent() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length);
    ::listen(fd_.get(), 5);
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  Config config(Millis timeout) const {
    return {fmt::format("host=127.0.0.1 port={}", port_), "x", timeout};
  }

 private:
  Fd fd_;
  int port_ = 0;
};

TEST(Connection, ASilentServerTimesOut) {
  const Silent silent;
  const auto error = error_of([&] { Connection(silent.config(Millis(300)), Mode::sql); });
  EXPECT_EQ(error.code(), Code::timeout);
}

TEST(Connection, ACancelEndsTheWait) {
  const Silent silent;
  Cancel cancel;
  std::thread later([&] {
    no_cancel().sleep_for(Millis(200));
    cancel.request();
  });
  const auto error =
      error_of([&] { Connection(silent.config(Millis(60000)), Mode::replication, cancel); });
  later.join();
  EXPECT_EQ(error.code(), Code::cancelled);
}

TEST(Connection, RefusalsOfEveryLanguageAreRead) {
  const auto german = parse_refusal(
      "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  28P01: "
      "Passwort-Authentifizierung für Benutzer »postgres« fehlgeschlagen\nORT:  auth.c:335\n");
  EXPECT_EQ(german.sqlstate, "28P01");
  EXPECT_EQ(make_error("s", german, Code::unavailable).code(), Code::denied);
  const auto plain = parse_refusal("could not connect: Connection refused\n\tIs it up?\n");
  EXPECT_EQ(plain.sqlstate, "");
  EXPECT_EQ(plain.message, "could not connect: Connection refused");
  EXPECT_EQ(parse_refusal("").message, "");
  EXPECT_EQ(sqlstate_of(make_error("s", german, Code::failed)), "28P01");
  EXPECT_EQ(sqlstate_of(Error(Code::failed, "s", "()")), "");
}

TEST(Connection, SlotNames) {
  EXPECT_NO_THROW(check_slot_name("lifeboat_1"));
  for (const std::string name : {"", "Lifeboat", "a-b", "a b", "a\"b", "a;DROP", "ä"}) {
    EXPECT_THROW(check_slot_name(name), Error) << name;
  }
  EXPECT_THROW(check_slot_name(std::string(64, 'a')), Error);
}

class RealServer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new test::TempDir;
    server_ = new LocalServer(dir_->path() / "pg");
    server_->init();
    server_->start();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete dir_;
  }
  static test::TempDir* dir_;
  static LocalServer* server_;
};
test::TempDir* RealServer::dir_ = nullptr;
LocalServer* RealServer::server_ = nullptr;

TEST_F(RealServer, IdentifiesItself) {
  const auto info = identify(server_->config());
  EXPECT_EQ(std::to_string(info.system_identifier),
            server_->value("SELECT system_identifier FROM pg_control_system()"));
  EXPECT_EQ(info.timeline, TimelineId(1));
  EXPECT_EQ(info.wal_segment_size, ByteCount(16 << 20));
  EXPECT_EQ(info.server_version / 10000, 15);
  EXPECT_LE(info.flush_lsn, current_lsn(server_->config()));
}

TEST_F(RealServer, SwitchingTheSegment) {
  server_->sql("CREATE TABLE IF NOT EXISTS switched(i int)");
  const auto before = switch_wal(server_->config());
  server_->sql("INSERT INTO switched VALUES (1)");
  EXPECT_GT(current_lsn(server_->config()), before);
}

TEST_F(RealServer, CheckFindsAllGood) {
  const auto findings = check(server_->config());
  EXPECT_EQ(findings.size(), 11u);
  for (const auto& finding : findings) {
    EXPECT_TRUE(finding.ok) << finding.name << ": " << finding.what << " / " << finding.hint;
  }
}

TEST_F(RealServer, CheckNamesWhatIsWrong) {
  server_->sql("ALTER SYSTEM SET max_slot_wal_keep_size = -1");
  server_->sql("ALTER SYSTEM SET full_page_writes = off");
  server_->sql("SELECT pg_reload_conf()");
  server_->sql("DROP ROLE IF EXISTS plain");
  server_->sql("CREATE ROLE plain LOGIN PASSWORD 'plain-secret-1'");
  auto config = server_->config();
  config.conninfo += " user=plain";
  config.password = "plain-secret-1";
  std::map<std::string, Finding> by_name;
  const bool seen = test::eventually([&] {
    by_name.clear();
    for (auto& finding : check(config)) by_name[finding.name] = finding;
    return !by_name["full_page_writes"].ok;
  });
  server_->sql("ALTER SYSTEM RESET ALL");
  server_->sql("SELECT pg_reload_conf()");
  EXPECT_TRUE(seen);
  EXPECT_FALSE(by_name["full_page_writes"].warning);
  EXPECT_TRUE(by_name["max_slot_wal_keep_size"].warning);
  EXPECT_FALSE(by_name["replication privilege"].ok);
  EXPECT_THAT(by_name["replication privilege"].hint, HasSubstr("ALTER ROLE plain REPLICATION"));
  EXPECT_FALSE(by_name["replication connection"].ok);
}

TEST_F(RealServer, AWrongPasswordIsDenied) {
  auto config = server_->config();
  config.password = "not-the-password-77";
  for (const auto mode : {Mode::sql, Mode::replication}) {
    const auto error = error_of([&] { Connection(config, mode); });
    EXPECT_EQ(error.code(), Code::denied) << error.what();
    EXPECT_EQ(sqlstate_of(error), "28P01");
    expect_no_secret(error, config.password);
  }
  const auto findings = check(config);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_FALSE(findings[0].ok);
}

TEST_F(RealServer, NoPasswordIsDenied) {
  auto config = server_->config();
  config.password.clear();
  config.conninfo += " passfile=/nonexistent";
  const auto error = error_of([&] { Connection(config, Mode::sql); });
  EXPECT_EQ(error.code(), Code::denied) << error.what();
  EXPECT_THAT(error.hint(), HasSubstr("PGPASSWORD"));
}

TEST_F(RealServer, ARoleWithoutReplicationIsDenied) {
  server_->sql("DROP ROLE IF EXISTS norepl");
  server_->sql("CREATE ROLE norepl LOGIN PASSWORD 'norepl-secret'");
  auto config = server_->config();
  config.conninfo += " user=norepl";
  config.password = "norepl-secret";
  const auto error = error_of([&] { identify(config); });
  EXPECT_EQ(error.code(), Code::denied) << error.what();
  EXPECT_THAT(error.hint(), HasSubstr("ALTER ROLE \"norepl\" REPLICATION"));
}

TEST_F(RealServer, ARoleThatCanOnlyReplicateIsEnough) {
  server_->sql("DROP ROLE IF EXISTS replicator");
  server_->sql("CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'replicator-secret'");
  auto config = server_->config();
  config.conninfo += " user=replicator";
  config.password = "replicator-secret";
  for (const auto& finding : check(config)) {
    EXPECT_TRUE(finding.ok) << finding.name << ": " << finding.what << " / " << finding.hint;
  }
  EXPECT_TRUE(ensure_slot(config, "s3").restart_lsn);
  EXPECT_GT(current_lsn(config), Lsn());
  EXPECT_TRUE(drop_slot(config, "s3"));
  const auto error = error_of([&] { switch_wal(config); });
  EXPECT_EQ(error.code(), Code::denied);
  EXPECT_THAT(error.hint(), HasSubstr("pg_switch_wal"));
}

TEST_F(RealServer, AnUnknownDatabaseIsAMistakeInTheConfiguration) {
  auto config = server_->config();
  config.conninfo += " dbname=nowhere";
  EXPECT_EQ(error_of([&] { Connection(config, Mode::sql); }).code(), Code::config);
  EXPECT_NO_THROW(identify(config));  // replication has no database
}

TEST_F(RealServer, AnErrorLeavesTheConnectionUsable) {
  Connection sql(server_->config(), Mode::sql);
  EXPECT_EQ(sqlstate_of(error_of([&] { sql.query("SELECT 1/0"); })), "22012");
  EXPECT_EQ(sql.query("SELECT 42").number(0, 0), 42u);
}

TEST_F(RealServer, ACancelEndsALongQuery) {
  Cancel cancel;
  Connection sql(server_->config(), Mode::sql, cancel);
  std::thread later([&] {
    no_cancel().sleep_for(Millis(100));
    cancel.request();
  });
  EXPECT_EQ(error_of([&] { sql.query("SELECT pg_sleep(60)"); }).code(), Code::cancelled);
  later.join();
}

TEST_F(RealServer, SlotsComeAndGo) {
  const auto config = server_->config();
  EXPECT_EQ(slot_state(config, "s1").activity, SlotActivity::absent);
  EXPECT_FALSE(drop_slot(config, "s1"));
  const auto made = ensure_slot(config, "s1");
  EXPECT_EQ(made.activity, SlotActivity::inactive);
  ASSERT_TRUE(made.restart_lsn);
  EXPECT_LE(*made.restart_lsn, current_lsn(config));
  server_->sql("CHECKPOINT");
  EXPECT_EQ(ensure_slot(config, "s1").restart_lsn, made.restart_lsn);
  EXPECT_TRUE(drop_slot(config, "s1"));
  EXPECT_EQ(slot_state(config, "s1").activity, SlotActivity::absent);
}

TEST_F(RealServer, ASlotThatKeepsNothingIsMadeAgain) {
  server_->sql("SELECT pg_create_physical_replication_slot('s2', false)");
  EXPECT_FALSE(slot_state(server_->config(), "s2").restart_lsn);
  EXPECT_TRUE(ensure_slot(server_->config(), "s2").restart_lsn);
  drop_slot(server_->config(), "s2");
}

TEST(RealServerMinimal, WalLevelMinimalIsRefusedWithAHint) {
  const test::TempDir dir;
  LocalServer server(dir.path() / "pg");
  server.init("wal_level = minimal\nmax_wal_senders = 0");
  server.start();
  const auto error = error_of([&] { identify(server.config()); });
  EXPECT_EQ(error.code(), Code::refused) << error.what();
  EXPECT_THAT(error.hint(), HasSubstr("wal_level = replica"));
  bool found = false;
  for (const auto& finding : check(server.config())) {
    found = found || (finding.name == "wal_level" && !finding.ok && !finding.warning);
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace lifeboat::postgres
