#include <gtest/gtest.h>

#include "base/error.hpp"
#include "recovery/clickhouse_document.hpp"
#include "recovery/kafka_document.hpp"
#include "recovery/log_names.hpp"

namespace lifeboat::recovery {
namespace {

TEST(LogNames, RoundTrip) {
  kafka::LogId log{"cluster", "4hT2bQ", "events_json", PartitionId(3)};
  EXPECT_EQ(log_name(log).value, "kafka/cluster/4hT2bQ/events_json/3");
  EXPECT_EQ(parse_kafka_log(log_name(log)), log);
  WalLog wal{7301234567890123456ull, TimelineId(0x1f)};
  EXPECT_EQ(wal_log_name(wal).value, "postgres/7301234567890123456/0000001F");
  EXPECT_EQ(parse_wal_log(wal_log_name(wal))->timeline, wal.timeline);
  EXPECT_EQ(parse_history_log(history_log_name(wal))->system_identifier, wal.system_identifier);
}

TEST(LogNames, OthersAreNotTaken) {
  for (const char* name : {"", "kafka", "kafka/a/b/c", "kafka/a/b/c/x", "kafka/a/b/c/-1",
                           "kafka/a/b/c/1/2", "postgres/1/1", "postgres/x/00000001"}) {
    EXPECT_FALSE(parse_kafka_log({name})) << name;
    EXPECT_FALSE(parse_wal_log({name})) << name;
  }
  EXPECT_FALSE(parse_wal_log({"postgres-history/1/00000001"}));
}

TEST(Documents, KafkaRoundTrip) {
  KafkaDocument d;
  d.cluster_id = "c";
  d.topics.push_back({"t", "id", 4, 1, {{"retention.ms", "1"}}});
  d.groups["g"][{"t", PartitionId(2)}] = Offset(17);
  auto json = to_json(d);
  EXPECT_EQ(to_json(kafka_document_from_json(json)), json);
  EXPECT_EQ(kafka_document_from_json(json).topic("t")->partitions, 4);
  EXPECT_FALSE(kafka_document_from_json(json).starts);
  d.starts = {{"id/t", {0, -1, 7}}};
  EXPECT_EQ(kafka_document_from_json(to_json(d)).starts, d.starts);
  json["topics"][0]["partitions"] = 0;
  EXPECT_THROW(kafka_document_from_json(json), Error);
  EXPECT_THROW(kafka_document_from_json("x"), Error);
}

ClickHouseDocument sample() {
  ClickHouseDocument d;
  d.snapshot.digest = sha256("x");
  d.disk = "backups";
  d.backup = "lifeboat-1";
  d.cut.cut["g"][{"t", PartitionId(0)}] = Offset(5);
  d.cut.cluster_id = "c";
  d.cut.topic_ids["t"] = "id";
  return d;
}

TEST(Documents, ClickHouseRoundTrip) {
  auto json = to_json(sample());
  EXPECT_EQ(to_json(clickhouse_document_from_json(json)), json);
  for (const auto& [key, value] : json.items()) {
    auto torn = json;
    torn.erase(key);
    EXPECT_THROW(clickhouse_document_from_json(torn), Error) << key;
  }
}

TEST(Documents, ABoundedCutKeepsItsUpperBound) {
  auto d = sample();
  d.cut.exact = false;
  d.cut.upper["g"][{"t", PartitionId(0)}] = Offset(9);
  auto read = clickhouse_document_from_json(to_json(d));
  EXPECT_FALSE(read.cut.exact);
  EXPECT_EQ(read.cut.upper, d.cut.upper);
}

TEST(Documents, SavedFilesRoundTripAndStayInTheirFolder) {
  SavedFile file{"data/db/t/all_1_1_0/data.bin", ByteCount(12), sha256("y")};
  auto read = decode_saved_file(encode(file));
  EXPECT_EQ(read.name, file.name);
  EXPECT_EQ(read.sha256, file.sha256);
  for (const char* name : {"", "/etc/passwd", "../x", "a/../../x"}) {
    file.name = name;
    EXPECT_THROW(decode_saved_file(encode(file)), Error) << name;
  }
  EXPECT_THROW(decode_saved_file("{"), Error);
}

}  // namespace
}  // namespace lifeboat::recovery
