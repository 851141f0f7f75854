#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"
#include "store/location.hpp"
#include "vault/retention_policy.hpp"
#include "vault/sample.hpp"

namespace lifeboat::recovery {

// lifeboat.yaml as values. Paths are absolute: relative ones count from the file's folder. A store
// whose section is absent is not part of the stack and is left alone.
struct PostgresConfig {
  std::string url;                       // libpq URI or key=value string; database included
  std::string password;                  // from `password` or `password_file`; may be empty
  std::string slot = "lifeboat";         // Lifeboat's own physical replication slot
  std::filesystem::path data_directory;  // where a restore puts the cluster; may be empty
  bool read_files = false;               // a backup reads the files in data_directory itself
  std::string os_user;                   // owner of the restored files; empty: the caller
};

struct KafkaTls {
  std::filesystem::path ca;  // who signed the brokers' certificates; empty: whom the machine trusts
  std::filesystem::path cert;  // Lifeboat's own, with `key`; may be empty
  std::filesystem::path key;
  std::string key_password;
  bool verify_hostname = true;
};

struct KafkaSasl {
  std::string mechanism;  // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
  std::string username;
  std::string password;
};

struct KafkaConfig {
  std::vector<std::string> bootstrap;  // host:port
  std::optional<KafkaTls> tls;
  std::optional<KafkaSasl> sasl;
  std::vector<std::string> include{"*"};  // topic globs
  std::vector<std::string> exclude;       // wins over include
  std::string archiver_group;  // archivers that share the partitions; empty: this one has them all
  // Broker id -> its log.dirs, when this machine reaches them: then a restore can seed.
  std::map<std::string, std::vector<std::filesystem::path>> log_dirs;
};

struct ClickHouseConfig {
  std::string url;  // http://host:port
  std::string user = "default";
  std::string password;
  std::vector<std::string> databases;  // empty: all but the system's
  std::string backup_disk;             // BACKUP … TO Disk('<disk>', …)
  std::filesystem::path backup_path;   // the same folder as Lifeboat sees it
  Millis hold_limit{30000};            // a hold that is not had by then gives a bounded cut
};

struct ZooKeeperConfig {
  std::string connect;  // host:port,host:port[/chroot]
};

// The logbook's small objects of the past are merged into larger ones.
struct LogbookConfig {
  Millis merge_after{3'600'000};    // not before they are so old
  ByteCount merge_to{64ull << 20};  // into objects of about this size
  Millis remove_after{3'600'000};   // what was merged stays so long, for those who read it
};

// What `prune` keeps.
struct RetentionConfig {
  vault::RetentionPolicy points;
  // What is dropped can be read so long, and a backup without a sign of life for so long is dead.
  Millis grace{86'400'000};
  // A restore that is not finished keeps its point so long without a sign of life; the grace
  // period, when that is longer.
  Millis keep_for_resume{7 * 86'400'000LL};
};

// The verify of `run`.
struct VerifyConfig {
  Millis every{86'400'000};            // since the last one, whoever ran it; 0: never
  std::optional<vault::Share> sample;  // read so much of the data; none: only whether all is there
};

// Where the key of an encrypted vault comes from: one of these. They are read when the vault is
// opened (vault_key.hpp); the configuration itself holds no secret of it.
struct VaultKeyConfig {
  std::filesystem::path passphrase_file;  // its first line
  std::string passphrase_env;             // the name of an environment variable
  std::string passphrase_command;         // for /bin/sh; the first line that it prints
  std::filesystem::path key_file;         // or a file with the recovery key
};

struct Config {
  std::filesystem::path file;
  store::Location vault;
  std::optional<VaultKeyConfig> vault_key;  // none: a plain vault
  std::filesystem::path state;              // journals of restores; default `lifeboat-state`
  Millis point_every{3600000};              // schedule of `run`; 0: it takes none
  Millis flush_interval{5000};              // logbook: RPO in seconds
  ByteCount flush_bytes{32ull << 20};
  LogbookConfig logbook;
  std::optional<RetentionConfig> retention;  // none: nothing is ever dropped
  VerifyConfig verify;
  Millis alarm_before{3'600'000};  // warn when Kafka deletes what is not archived so soon
  std::string metrics_listen;      // host:port of Prometheus' endpoint; empty: none
  std::optional<PostgresConfig> postgres;
  std::optional<KafkaConfig> kafka;
  std::optional<ClickHouseConfig> clickhouse;
  std::optional<ZooKeeperConfig> zookeeper;

  bool has_server() const { return postgres || kafka || clickhouse || zookeeper; }
};

// Throws Error(config) with "file:line" as subject for what is unknown, missing or wrong, and says
// what was expected there.
Config load_config(const std::filesystem::path& file);
Config parse_config(std::string_view yaml, const std::filesystem::path& file);

// For what is done with servers: Error(config) when lifeboat.yaml has none. Without one the vault
// can still be made, looked at, verified and pruned.
void require_server(const Config& config);

// A commented lifeboat.yaml to start from; parse_config() takes it as it is.
std::string config_template();

// "500ms", "30s", "15m", "6h", "1d" and "64MiB", "1GiB", "4096": nullopt when it is none.
std::optional<Millis> parse_duration(std::string_view text);
std::optional<ByteCount> parse_size(std::string_view text);

}  // namespace lifeboat::recovery
