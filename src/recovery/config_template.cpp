#include "recovery/config.hpp"

namespace lifeboat::recovery {
namespace {

constexpr const char* kTemplate =
    R"(# What Lifeboat looks after. Leave out the section of a store that you do not have; to look at a vault, verify and
# prune it, none is needed.

# The vault: snapshots, the logbook and recovery points. On a disk that survives the servers, or in an
# object store that speaks S3: `vault: s3://bucket/prefix`, with credentials where AWS's tools look for
# them (environment, ~/.aws, the machine's role).
vault: /backup/vault
# What differs from AWS's defaults, or is not in the environment; memory bounds what is under way; what fails is tried
# again for retry_for (a server that takes a request and never answers is given up after 10 s to 2 min).
# s3: {endpoint: "https://minio.example:9000", region: eu-central-1, path_style: true, profile: backup,
#      ca: /etc/lifeboat/s3-ca.pem, memory: 64MiB, retry_for: 30s, bandwidth: 100MiB,
#      object_lock: {mode: compliance, retain: 30d}}
# object_lock, in a bucket that has Object Lock: a point and all that it needs can't be deleted for so long, by
# nobody (compliance), or only by who may bypass that (governance). After an attack `as_of: "2026-11-28T10:00:00Z"`
# reads the vault as it was then, and writes nothing.
# With a key the vault is made encrypted (and stays so; a plain one stays plain). Who loses all its keys and the
# recovery sheet, which `lifeboat init` prints, has lost everything in it. One of:
# vault_key: {passphrase_file: /etc/lifeboat/vault.passphrase}
# vault_key: {key_file: /etc/lifeboat/vault.key}             # made by `lifeboat init` when it is not there
# vault_key: {passphrase_command: "pass show lifeboat"}
# vault_key: {passphrase_env: VAULT_PASSPHRASE}
# How often `lifeboat run` takes a recovery point (or never), and how often the logbook is made durable: what is
# older than flush_interval (and a little) survives the loss of any store.
point_every: 1h
flush_interval: 5s
# Small objects of the logbook become larger ones in the background; these are the defaults.
# logbook: {merge_after: 1h, merge_to: 64MiB, remove_after: 1h}
# What `lifeboat prune` keeps (`lifeboat run` prunes once a day then); without this section nothing is
# dropped but what `prune --drop` names. The newest point of each hour, day, week, month (UTC) counts, from the newest point back; labels
# that are named keep their points. keep_logbook: all can be brought back to any moment that is no older than
# this, and the logbook of before goes, but for what the kept points need; without it all of the logbook stays.
# grace: what is dropped can be read so long; a backup that gives no sign of life so long is taken for dead.
# keep_for_resume: a point whose restore was stopped or killed stays so long for `restore --resume`.
# retention: {keep_last: 24, keep_daily: 14, keep_weekly: 8, keep_monthly: 12, keep_within: 2d,
#             keep_labels: [before-upgrade], keep_logbook: 14d, grace: 24h, keep_for_resume: 7d}
# `lifeboat run` looks once a day whether all is there that the points need: it reads lists and footers, no data,
# and costs about what a prune does. With a sample it also reads a part of the data each time, and goes on where the
# last one ended: with 5% a day all is proven every 20 days (S3: paid for as any reading). every: never turns it off.
# verify: {every: 1d, sample: 5%}
# `status`, `check` and `run` warn when Kafka is to delete so soon what is not archived yet.
# alarm_before: 1h
# Prometheus' endpoint of `lifeboat run`; without it there is none.
# metrics: {listen: 127.0.0.1:9187}

postgres:
  # A role with REPLICATION and, for `check`, pg_monitor.
  url: postgresql://lifeboat@127.0.0.1:5432/postgres
  # password_file: /etc/lifeboat/postgres.password
  slot: lifeboat
  # Where a restore puts the cluster, and whose files these are.
  data_directory: /var/lib/postgresql/15/main
  # The server runs on this machine, on that directory: its files are read there, those that did not change
  # since the last point not at all. Needs EXECUTE on pg_backup_start() and pg_backup_stop(), and to read the
  # files, as os_user or root; docs/postgres-files.md says what else.
  # read_files: true
  os_user: postgres

kafka:
  bootstrap: [127.0.0.1:9092]
  # By TLS (SSL and SASL_SSL listeners). ca: who signed the brokers' certificates, if not an authority
  # that this machine trusts anyway; cert and key only for brokers that ask for a certificate.
  # tls:
  #   ca: /etc/lifeboat/kafka-ca.pem
  #   cert: /etc/lifeboat/kafka-client.pem
  #   key: /etc/lifeboat/kafka-client.key
  #   key_password_file: /etc/lifeboat/kafka-client.password
  #   verify_hostname: true
  # With a password (SASL_SSL and SASL_PLAINTEXT listeners): PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
  # sasl:
  #   mechanism: SCRAM-SHA-512
  #   username: lifeboat
  #   password_file: /etc/lifeboat/kafka.password
  # Topics by pattern: * is any run of characters, ? is one; exclude wins.
  include: ["*"]
  # exclude: ["debug-*"]
  # Several archivers, each with a lifeboat.yaml and a state folder of its own and the same vault, share
  # the partitions as members of this consumer group. All but one have `point_every: never`.
  # archiver_group: lifeboat-archivers
  # The log.dirs of each broker id, if this machine reaches them: then a lost Kafka gets its partitions
  # back with their original offsets.
  # log_dirs: {"0": [/var/lib/kafka]}

clickhouse:
  url: http://127.0.0.1:8123
  user: default
  # password_file: /etc/lifeboat/clickhouse.password
  # databases: [posthog]
  # A disk of the server's configuration that <backups><allowed_disk> names, and the same folder as
  # this machine sees it. Keep it with the vault: a restore needs both.
  backup_disk: backups
  backup_path: /backup/vault/clickhouse

zookeeper:
  connect: 127.0.0.1:2181
)";

}  // namespace

std::string config_template() {
  return kTemplate;
}

}  // namespace lifeboat::recovery
