#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "clickhouse/hold.hpp"
#include "support/stack_fixture.hpp"

namespace lifeboat::clickhouse {

// What the tests need of Kafka, straight from librdkafka: a witness of its own.
class KafkaSide {
 public:
  explicit KafkaSide(std::string bootstrap) : bootstrap_(std::move(bootstrap)) {}
  void create_topic(const std::string& topic, int partitions);
  Cursors committed(const std::string& group, const std::string& topic, int partitions);
  const std::string& bootstrap() const { return bootstrap_; }

 private:
  std::string bootstrap_;
};

// Produces {"id": n} with ascending n, evenly over the partitions, until it is stopped.
class Load {
 public:
  Load(const std::string& bootstrap, const std::string& topic, int partitions, int per_second);
  ~Load() { stop(); }
  void stop();  // returns when all that was sent is acknowledged or failed
  std::int64_t acknowledged() const { return acknowledged_; }

 private:
  void run(const std::string& topic, int partitions, int per_second);
  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* load);

  rd_kafka_t* producer_ = nullptr;
  std::atomic<bool> stop_ = false;
  std::atomic<std::int64_t> acknowledged_ = 0;
  std::thread thread_;
};

// One Kafka table `k` with a view into `e` (keeps partition and offset), a view chained on `e` into
// `s` (sums), a view without TO on `e`, and a slow second view on `k`, in a database of its own.
struct Pipeline {
  std::string database, topic, group;
  int partitions = 4;
  TableRef table(const std::string& name) const { return {database, name}; }
};
Config server_config(test::StackProcess& stack);
BackupPlace backup_place(test::StackProcess& stack);
Pipeline create_pipeline(Client& client, KafkaSide& kafka, const std::string& name,
                         double seconds_per_block);
// "" when the tables of `database` hold exactly the messages below `cut`, in rows and in all sums;
// else what is wrong.
std::string differs_from_cut(Client& client, const std::string& database, const Cursors& cut);
std::uint64_t count_rows(Client& client, const TableRef& table);
// Waits until it holds; false after 120 s.
bool eventually(const std::function<bool()>& holds);
std::string fresh_name();  // of a backup

}  // namespace lifeboat::clickhouse
