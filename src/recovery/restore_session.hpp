#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "clickhouse/client.hpp"
#include "clickhouse/schema.hpp"
#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "kafka/group_hold.hpp"
#include "kafka/offset_translation.hpp"
#include "recovery/apply.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/replay.hpp"
#include "recovery/restore_pin.hpp"
#include "recovery/targets.hpp"

// What the steps of one apply() share. Used by apply.cpp and restore_<store>.cpp only.
namespace lifeboat::recovery {

// What is done of a plan, kept durable: one JSON document, replaced as a whole at each change.
class Journal {
 public:
  Journal(const Config& config, const std::string& plan_id);
  bool done(const std::string& step) const;
  void mark_done(const std::string& step);
  // Free members of the steps; save() makes a change durable.
  nlohmann::json& data() { return document_["data"]; }
  void save();

 private:
  std::filesystem::path path_;
  nlohmann::json document_;
};
std::filesystem::path plan_path(const Config& config, const std::string& plan_id);
std::filesystem::path journal_path(const Config& config, const std::string& plan_id);

// The member "tables" of what a step keeps of ClickHouse's tables: [[database, name], …].
std::vector<clickhouse::TableRef> journaled_tables(const nlohmann::json& kept);

class RestoreSession {
 public:
  RestoreSession(const Context& context, vault::Vault vault, const Plan& plan, Millis wait_limit);

  const Context& context;
  vault::Vault vault;
  const Plan& plan;
  Millis wait_limit;
  Journal journal;
  RestorePin pin;
  const vault::RecoveryPoint& point;
  std::vector<std::string> notes;

  bool restores(Store store) const { return plan.stores.contains(store); }
  bool may_overwrite(const std::string& target) const { return plan.overwrite.contains(target); }

  // Read when first needed.
  const KafkaDocument& kafka_document();
  const std::vector<ChosenTopic>& chosen_topics();
  const vault::Logbook& logbook();
  const ClickHouseDocument& clickhouse_document();
  const clickhouse::SchemaGraph& clickhouse_schema();
  clickhouse::Client& clickhouse();
  kafka::Cluster& cluster();
  kafka::Admin& admin();

  // Lifeboat's membership that keeps a group closed; made when first asked for, until let_go().
  kafka::GroupHold& hold(const std::string& group, const std::vector<std::string>& topics);
  void let_go(const std::string& group);

  // Where the old offsets of a partition lie now; nullopt when Kafka was not restored by this plan.
  std::optional<kafka::OffsetTranslation> translation(const kafka::TopicPartition& partition);
  void keep_translation(
      const kafka::TopicPartition& partition,
      const kafka::OffsetTranslation& translation);  // thread-safe, not durable yet

  // Commits as the member, reads back, compares; Error(failed) when they differ.
  void commit(kafka::GroupHold& hold, const std::string& group,
              const std::map<kafka::TopicPartition, Offset>& offsets);
  // Until each partition's committed offset has passed `from` or the log ends there.
  void wait_consuming(const std::string& group,
                      const std::map<kafka::TopicPartition, Offset>& from);
  // Calls `there` until it is true, says once what is waited for. Error(timeout) after wait_limit.
  void wait_until(const std::string& note, const std::function<bool()>& there);

 private:
  std::optional<KafkaDocument> kafka_document_;
  std::optional<std::vector<ChosenTopic>> chosen_;
  std::optional<vault::Logbook> logbook_;
  std::optional<ClickHouseDocument> clickhouse_document_;
  std::optional<clickhouse::SchemaGraph> schema_;
  std::unique_ptr<clickhouse::Client> clickhouse_;
  std::unique_ptr<kafka::Cluster> cluster_;
  std::unique_ptr<kafka::Admin> admin_;
  std::map<std::string, std::unique_ptr<kafka::GroupHold>> holds_;
  std::mutex translations_;
};

// How a replay goes on with an interrupted one's work: as the same producer.
ReplayOptions replay_options(RestoreSession& s);
// A group's cursor in a living topic: the cut, or where what came from the logbook ends.
Offset after_fill(RestoreSession& s, const std::string& group, const kafka::TopicPartition& tp,
                  Offset cut);

// The steps, by store; each can be run again after a crash in it.
void postgres_data(RestoreSession& s);
void postgres_recovery(RestoreSession& s);
void postgres_wait(RestoreSession& s);
void zookeeper_hold_clickhouse(RestoreSession& s);
void zookeeper_brokers_stopped(RestoreSession& s);
void zookeeper_release_clickhouse(RestoreSession& s);
void zookeeper_wait(RestoreSession& s);
void zookeeper_tree(RestoreSession& s);
void zookeeper_kafka(RestoreSession& s);
void kafka_hold_clickhouse(RestoreSession& s);
void kafka_wait(RestoreSession& s);
void kafka_detach_clickhouse(RestoreSession& s);
void kafka_topics(RestoreSession& s);
void kafka_batches(RestoreSession& s);
void seed_stop(RestoreSession& s);
void seed_write(RestoreSession& s);
void seed_start(RestoreSession& s);
void seed_verify(RestoreSession& s);
void kafka_cursors(RestoreSession& s);
void kafka_configs(RestoreSession& s);
void kafka_release_clickhouse(RestoreSession& s);
void clickhouse_wait(RestoreSession& s);
void clickhouse_check(RestoreSession& s);
void clickhouse_hold_groups(RestoreSession& s);
void clickhouse_data(RestoreSession& s);
void fill_retention(RestoreSession& s);
void fill_topics(RestoreSession& s);
void fill_consume(RestoreSession& s);
void fill_check(RestoreSession& s);
void fill_clean(RestoreSession& s);
void clickhouse_cursors(RestoreSession& s);
void clickhouse_views(RestoreSession& s);
void clickhouse_kafka_tables(RestoreSession& s);
void clickhouse_release(RestoreSession& s);
void clickhouse_consume(RestoreSession& s);

}  // namespace lifeboat::recovery
