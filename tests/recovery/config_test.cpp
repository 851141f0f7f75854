#include "recovery/config.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lifeboat::recovery {
namespace {

constexpr const char* kSmallest = "vault: /v\nkafka:\n  bootstrap: [a:1]\n";

struct Wrong {
  const char* yaml;
  int line;
  const char* says;
};

class WrongConfig : public testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, NamesFileLineAndWhatWasExpected) {
  try {
    parse_config(GetParam().yaml, "/etc/lifeboat.yaml");
    FAIL() << "was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::config);
    EXPECT_EQ(e.subject(), "/etc/lifeboat.yaml:" + std::to_string(GetParam().line));
    EXPECT_NE(e.message().find(GetParam().says), std::string::npos) << e.message();
    EXPECT_FALSE(e.hint().empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongConfig,
    testing::Values(
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  topics: [x]\n", 4, "unknown key 'topics'"},
        Wrong{"vault: /v\nkafkaa:\n  bootstrap: [a:1]\n", 2, "unknown key 'kafkaa'"},
        Wrong{"vault: /v\nkafka:\n  include: [x]\n", 3, "'bootstrap' is missing in 'kafka'"},
        Wrong{"kafka:\n  bootstrap: [a:1]\n", 1, "'vault' is missing"},
        Wrong{"vault: /v\nkafka:\n", 2, "has no value"},
        Wrong{"vault: /v\ns3: {region: x}\nkafka:\n  bootstrap: [a:1]\n", 2,
              "'s3' goes with a vault"},
        Wrong{"vault: s3://x\nkafka:\n  bootstrap: [a:1]\n", 1, "no bucket's name"},
        Wrong{"vault: s3://abc/..\nkafka:\n  bootstrap: [a:1]\n", 1, "no prefix"},
        Wrong{"vault: s3://abc\ns3:\n  endpoint: minio\nkafka:\n  bootstrap: [a:1]\n", 1,
              "'minio' is no endpoint"},
        Wrong{"vault: s3://abc\ns3:\n  bucket: b\nkafka:\n  bootstrap: [a:1]\n", 3,
              "unknown key 'bucket'"},
        Wrong{"vault: s3://abc\ns3:\n  memory: 1MiB\nkafka:\n  bootstrap: [a:1]\n", 3,
              "'memory' must be a size"},
        Wrong{"vault: s3://abc\ns3:\n  as_of: yesterday\nkafka:\n  bootstrap: [a:1]\n", 3,
              "'as_of' must be a time"},
        Wrong{"vault: s3://abc\ns3:\n  object_lock:\n    mode: forever\n    retain: 30d\n"
              "kafka:\n  bootstrap: [a:1]\n",
              4, "'mode' must be compliance or governance"},
        Wrong{"vault: s3://abc\ns3:\n  object_lock: {mode: compliance}\nkafka:\n"
              "  bootstrap: [a:1]\n",
              3, "'retain' is missing"},
        Wrong{"vault: /v\npostgres:\n  url: x\n  read_files: true\n", 4,
              "'read_files' needs 'data_directory'"},
        Wrong{"vault: /v\nvault: /w\nkafka:\n  bootstrap: [a:1]\n", 2,
              "'vault' stands in the file twice, first in line 1"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\nkafka:\n  bootstrap: [b:1]\n", 4,
              "'kafka' stands in the file twice, first in line 2"},
        Wrong{"vault: /v\nkafka: {bootstrap: [a:1]}\nretention: {keep_last: 1, keep_last: 50}\n", 3,
              "'keep_last' stands in 'retention' twice"},
        Wrong{"vault: /v\nretention: {keep_last: 50}\nkafka: {bootstrap: [a:1]}\n"
              "\"retention\":\n  keep_last: 1\n",
              4, "'retention' stands in the file twice, first in line 2"},
        Wrong{"vault: s3://abc\ns3:\n  object_lock:\n    mode: governance\n    retain: 1d\n"
              "    retain: 30d\nkafka: {bootstrap: [a:1]}\n",
              6, "'retain' stands in 'object_lock' twice, first in line 5"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  log_dirs:\n    \"0\": [/a]\n    0: [/b]\n",
              6, "'0' stands in 'log_dirs' twice, first in line 5"},
        Wrong{"vault: /v\nkafka: {bootstrap: [a:1]}\n---\nretention: {keep_last: 50}\n", 4,
              "a second document"},
        Wrong{"vault: /v\nkafka: yes\n", 2, "must be a mapping"},
        Wrong{"vault: [a]\nkafka:\n  bootstrap: [a:1]\n", 1, "'vault' must be a text"},
        Wrong{"vault: /v\nflush_interval: soon\nkafka:\n  bootstrap: [a:1]\n", 2,
              "'flush_interval' must be a time"},
        Wrong{"vault: /v\nflush_interval: 1ms\nkafka:\n  bootstrap: [a:1]\n", 2, "at least 100 ms"},
        Wrong{"vault: /v\nlogbook:\n  merge_to: 1KiB\nkafka:\n  bootstrap: [a:1]\n", 3,
              "'merge_to' must be a size"},
        Wrong{"vault: /v\nflush_bytes: 1TiB\nkafka:\n  bootstrap: [a:1]\n", 2,
              "'flush_bytes' must be a size"},
        Wrong{"vault: /v\nretention: {grace: 1d}\nkafka:\n  bootstrap: [a:1]\n", 2,
              "must say what is kept"},
        Wrong{"vault: /v\nretention: {keep_last: many}\nkafka:\n  bootstrap: [a:1]\n", 2,
              "'keep_last' must be a number"},
        Wrong{"vault: /v\nretention: {keep_last: -1}\nkafka:\n  bootstrap: [a:1]\n", 2,
              "'keep_last' must be a number"},
        Wrong{"vault: /v\nretention: {keep_yearly: 1}\nkafka:\n  bootstrap: [a:1]\n", 2,
              "unknown key 'keep_yearly'"},
        Wrong{"vault: /v\nclickhouse:\n  url: http://a\n  backup_disk: b\n", 3,
              "'backup_path' is missing"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  tls:\n    ca: /none.pem\n", 5,
              "/none.pem does not exist"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  tls:\n    cert: /dev/null\n", 5,
              "does not exist"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  tls:\n    verify_hostname: perhaps\n", 5,
              "must be true or false"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  tls: true\n", 4, "must be a mapping"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  sasl:\n    username: u\n", 5,
              "'mechanism' is missing"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  sasl:\n    mechanism: GSSAPI\n", 5,
              "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  sasl:\n    mechanism: PLAIN\n"
              "    username: u\n",
              6, "a password is missing"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  sasl:\n    mechanism: PLAIN\n"
              "    username: u\n    password: p\n    password_file: /dev/null\n",
              8, "not both"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  log_dirs: [/x]\n", 4, "must be a mapping"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  log_dirs: {a: [/x]}\n", 4, "no broker id"},
        Wrong{"vault: /v\nkafka:\n  bootstrap: [a:1]\n  log_dirs: {\"0\": [x]}\n", 4,
              "no absolute path"},
        Wrong{"vault: {/v\n", 2, "is not YAML"},
        Wrong{"vault: /v\npostgres:\n  url: x\n  slot: Not-A-Slot\n", 4, "'slot' must be"},
        Wrong{"vault: /v\npostgres:\n  url: x\n  password: a\n  password_file: b\n", 5,
              "not both"}));

TEST(Config, ArchiversThatShareTheWorkTakeNoPoints) {
  auto c = parse_config(
      "vault: /v\npoint_every: never\nkafka:\n  bootstrap: [a:1]\n  archiver_group: g\n",
      "/etc/lifeboat.yaml");
  EXPECT_EQ(c.point_every, Millis(0));
  EXPECT_EQ(c.kafka->archiver_group, "g");
  EXPECT_EQ(parse_config(kSmallest, "/etc/lifeboat.yaml").kafka->archiver_group, "");
}

TEST(Config, DefaultsAndRelativePaths) {
  auto c = parse_config("vault: v\nkafka:\n  bootstrap: [a:1, b:2]\n", "/etc/lb/lifeboat.yaml");
  EXPECT_EQ(c.vault.directory, "/etc/lb/v");
  EXPECT_FALSE(c.vault.s3);
  EXPECT_EQ(c.state, "/etc/lb/lifeboat-state");
  EXPECT_EQ(c.kafka->bootstrap, (std::vector<std::string>{"a:1", "b:2"}));
  EXPECT_EQ(c.kafka->include, std::vector<std::string>{"*"});
  EXPECT_EQ(c.flush_interval, Millis(5000));
  EXPECT_FALSE(c.postgres || c.clickhouse || c.zookeeper);
}

// Who moves a directory aside appends to its name.
TEST(Config, APathHasNoSlashAtItsEnd) {
  auto path = [](const std::string& given) {
    return parse_config("vault: " + given + "\nkafka:\n  bootstrap: [a:1]\n", "/etc/lb/l.yaml")
        .vault.directory;
  };
  EXPECT_EQ(path("/x/main/").string(), "/x/main");
  EXPECT_EQ(path("/x//main/.").string(), "/x/main");
  EXPECT_EQ(path("v/").string(), "/etc/lb/v");
  EXPECT_EQ(path("/").string(), "/");
}

TEST(Config, Retention) {
  EXPECT_FALSE(parse_config(kSmallest, "/x").retention);
  auto c = parse_config(
      std::string(kSmallest) +
          "retention: {keep_last: 2, keep_hourly: 3, keep_daily: 4, keep_weekly: "
          "5, keep_monthly: 6, keep_within: 2d, keep_logbook: 14d, keep_labels: [a, b], "
          "grace: 6h, keep_for_resume: 3d}\n",
      "/x");
  ASSERT_TRUE(c.retention);
  const auto& keep = c.retention->points;
  EXPECT_EQ(keep.last, 2u);
  EXPECT_EQ(keep.hourly, 3u);
  EXPECT_EQ(keep.daily, 4u);
  EXPECT_EQ(keep.weekly, 5u);
  EXPECT_EQ(keep.monthly, 6u);
  EXPECT_EQ(keep.within, std::chrono::hours(48));
  EXPECT_EQ(keep.logbook, std::chrono::hours(14 * 24));
  EXPECT_EQ(keep.labels, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(c.retention->grace, std::chrono::hours(6));
  EXPECT_EQ(c.retention->keep_for_resume, std::chrono::hours(3 * 24));
  c = parse_config(std::string(kSmallest) + "retention: {keep_within: 1d}\n", "/x");
  EXPECT_EQ(c.retention->grace, std::chrono::hours(24));
  EXPECT_EQ(c.retention->keep_for_resume, std::chrono::hours(7 * 24));
}

TEST(Config, Verify) {
  auto read = [](const std::string& more) { return parse_config(kSmallest + more, "/x").verify; };
  EXPECT_EQ(read("").every, std::chrono::hours(24));
  EXPECT_FALSE(read("").sample);
  EXPECT_EQ(read("verify: {every: never}\n").every, Millis(0));
  EXPECT_EQ(read("verify: {every: 6h, sample: 2.5%}\n").every, std::chrono::hours(6));
  EXPECT_EQ(read("verify: {sample: 2.5%}\n").sample, vault::Share(25'000));
  for (const char* wrong : {"{sample: 5}", "{sample: 0%}", "{every: 1}", "{data: true}",
                            "{every: never, sample: 5%}"}) {
    EXPECT_THROW(read(std::string("verify: ") + wrong + "\n"), Error) << wrong;
  }
}

// It is enough to look at a vault, and to prune it, on a machine of its own.
TEST(Config, AVaultAloneIsTaken) {
  const auto alone = parse_config("vault: /v\n", "/etc/lb/lifeboat.yaml");
  EXPECT_FALSE(alone.has_server());
  try {
    require_server(alone);
    FAIL() << "has no server";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::config);
    EXPECT_EQ(e.subject(), "/etc/lb/lifeboat.yaml");
    EXPECT_FALSE(e.hint().empty());
  }
  EXPECT_NO_THROW(require_server(parse_config(kSmallest, "/x")));
}

TEST(Config, TheTemplateIsTaken) {
  auto c = parse_config(config_template(), "/etc/lifeboat/lifeboat.yaml");
  EXPECT_TRUE(c.postgres && c.kafka && c.clickhouse && c.zookeeper);
  EXPECT_FALSE(c.kafka->tls || c.kafka->sasl);
}

TEST(Config, AFileThatIsNotThere) {
  try {
    load_config("/nowhere/lifeboat.yaml");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::config);
    EXPECT_NE(e.hint().find("lifeboat init"), std::string::npos);
  }
}

TEST(Config, EveryTruncationIsTakenOrRefusedByAConfigError) {
  std::string whole = config_template();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    try {
      parse_config(whole.substr(0, n), "/f");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::config) << n;
    }
  }
  EXPECT_NO_THROW(parse_config(kSmallest, "/f"));
}

TEST(Units, DurationsAndSizes) {
  EXPECT_EQ(parse_duration("500ms"), Millis(500));
  EXPECT_EQ(parse_duration("2h"), Millis(7200000));
  EXPECT_EQ(parse_size("16MiB"), ByteCount(16u << 20));
  EXPECT_EQ(parse_size("7"), ByteCount(7));
  for (const char* wrong : {"", "5", "-1s", "1 s", "s", "99999999999h"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
  for (const char* wrong : {"", "MiB", "-1", "1mb", "99999999999999999999"}) {
    EXPECT_FALSE(parse_size(wrong)) << wrong;
  }
}

TEST(Config, AVaultInS3) {
  auto c = parse_config(
      "vault: s3://bucket/a/b\ns3: {endpoint: \"http://h:1\", region: r, path_style: false, "
      "profile: p, memory: 32MiB, retry_for: 1m, bandwidth: 1MiB}\nkafka:\n  bootstrap: [a:1]\n",
      "/etc/lb/lifeboat.yaml");
  ASSERT_TRUE(c.vault.s3);
  EXPECT_EQ(c.vault.text(),
            "s3://bucket/a/b?endpoint=http://h:1&region=r&path_style=false&profile=p");
  EXPECT_EQ(c.vault.s3->memory, ByteCount(32 << 20));
  EXPECT_EQ(c.vault.s3->retry_for, Millis(60'000));
  EXPECT_EQ(c.vault.s3->bandwidth, ByteCount(1 << 20));
  EXPECT_FALSE(c.vault.s3->lock);
  EXPECT_FALSE(c.vault.s3->as_of);
  EXPECT_EQ(parse_config("vault: s3://bucket\nkafka:\n  bootstrap: [a:1]\n", "/x").vault.shown(),
            "s3://bucket");
}

TEST(Config, AVaultThatLocksAndOneAsItWas) {
  const auto c = parse_config(
      "vault: s3://bucket\ns3: {object_lock: {mode: governance, retain: 30d}, "
      "as_of: \"2026-11-28 11:00:00+01:00\"}\nkafka:\n  bootstrap: [a:1]\n",
      "/x");
  ASSERT_TRUE(c.vault.s3 && c.vault.s3->lock);
  EXPECT_EQ(c.vault.s3->lock->mode, store::ObjectLock::Mode::governance);
  EXPECT_EQ(c.vault.s3->lock->retain, Millis(30ll * 86'400'000));
  EXPECT_EQ(c.vault.s3->as_of, parse_timestamp("2026-11-28T10:00:00Z"));
}

}  // namespace
}  // namespace lifeboat::recovery
