#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "clickhouse/schema.hpp"
#include "clickhouse/table_row.hpp"
#include "fuzz/subjects.hpp"

namespace lifeboat::fuzz {
namespace {

using nlohmann::json;
using Seeds = std::vector<std::string>;

// As PostgreSQL's src/port/tar.c writes one; the target puts the checksum right.
std::string tar_entry(const std::string& name, char type, const std::string& content,
                      const std::string& link = "") {
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  char size[13];
  std::snprintf(size, sizeof size, "%011zo", content.size());
  put(0, name.substr(0, 100));
  put(100, "0000600");
  put(124, std::string(size, 11));
  put(136, "14000000000");
  put(156, std::string(1, type));
  put(157, link);
  put(257, std::string("ustar\00000", 8));
  auto padded = content;
  padded.resize((content.size() + 511) / 512 * 512);
  return block + padded;
}

Seeds archive_seeds() {
  const std::string end(1024, '\0');
  const std::string long_name = "base/" + std::string(150, 'x');
  return {tar_entry("base", '5', "") + tar_entry("base/1/", '5', "") +
              tar_entry("./base/1/1259", '0', std::string(700, 'p')) +
              tar_entry("PG_VERSION", '0', "15\n") + tar_entry("empty", '0', "") + end,
          tar_entry("pg_tblspc/16385", '2', "", "/mnt/space") +
              tar_entry("././@LongLink", 'L', long_name + '\0') + tar_entry(long_name, '0', "x") +
              end};
}

Seeds control_seeds() {
  std::string file;
  append_le<std::uint64_t>(file, 7301234567890123456ull);
  append_le<std::uint32_t>(file, 1300);
  append_le<std::uint32_t>(file, 202209061);
  append_le<std::uint32_t>(file, 1);  // shut down
  file.resize(32);
  append_le<std::uint64_t>(file, 0x3000028);
  append_le<std::uint64_t>(file, 0x3000028);
  append_le<std::uint32_t>(file, 1);
  file.resize(216);
  append_le<std::uint32_t>(file, 8192);
  append_le<std::uint32_t>(file, 131072);
  append_le<std::uint32_t>(file, 8192);
  append_le<std::uint32_t>(file, 16u << 20);
  file.resize(252);
  append_le<std::uint32_t>(file, 1);
  file.resize(8192);
  return {file.substr(0, 292), file};
}

Seeds history_seeds() {
  return {std::string(1, '\0') +
              "1\t0/5000000\tno recovery target specified\n\n2\t0/7000028\tbefore 2026-11-22 "
              "17:05:06.123+00\n# a comment\n15\t1/A0\tat restore point \"x\"\n",
          "\1"
          "00000001000000A2000000FF",
          "\1"
          "0000001F.history"};
}

Seeds path_seeds() {
  return {"./base/1/16384_fsm.2", "global/1262", "pg_tblspc/16385/PG_15_202209061/5/16390.1",
          "pg_wal/archive_status/"};
}

json table_row(const std::string& name, const std::string& engine, const std::string& create) {
  return clickhouse::test::table_row("d", name, engine, create, {{"total_rows", 17}});
}

constexpr const char* kKafkaEngine =
    "Kafka SETTINGS kafka_broker_list = '127.0.0.1:9092', kafka_topic_list = 'ev, pe', "
    "kafka_group_name = 'group1', kafka_format = 'JSONEachRow', kafka_num_consumers = 2";

std::vector<json> pipeline() {
  auto source = table_row("k", "Kafka", std::string("CREATE TABLE d.k ENGINE = ") + kKafkaEngine);
  source["engine_full"] = kKafkaEngine;
  source["dependencies_database"] = {"d"};
  source["dependencies_table"] = {"v"};
  auto view = table_row("v", "MaterializedView",
                        "CREATE MATERIALIZED VIEW d.v REFRESH EVERY 1 HOUR TO d.t (`id` UInt64) AS "
                        "SELECT id FROM d.k");
  view["target_database"] = "d";
  view["target_table"] = "t";
  auto target = table_row("t", "MergeTree", "CREATE TABLE d.t (`id` UInt64) ENGINE = MergeTree");
  target["loading_dependencies_database"] = {"d"};
  target["loading_dependencies_table"] = {"dict"};
  return {source, view, target, table_row("dict", "Dictionary", "CREATE DICTIONARY d.dict")};
}

Seeds definition_seeds() {
  Seeds seeds{
      std::string(1, '\0') +
          "Kafka(named, 'x''y', kafka_format = 'CSV') /* a comment */ SETTINGS `a``b` = 1.5e3, "
          "kafka_group_name = 'it\\'s \\n' -- ends\n",
      std::string(1, '\0') + kKafkaEngine};
  std::string rows(1, '\1');
  for (const auto& row : pipeline()) rows += row.dump() + '\n';
  seeds.push_back(rows);
  clickhouse::SchemaGraph start;
  start.databases = {"d"};
  start.database_engines = {"Atomic"};
  seeds.push_back('\2' + to_json(clickhouse::graph_from_rows(start, pipeline(), {})).dump());
  return seeds;
}

Seeds backup_list_seeds() {
  const std::string sum = "<checksum>dc122c7ca720d27fe31dabc951922e3d</checksum>";
  return {
      "<?xml version=\"1.0\"?><config><version>1</version><deduplicate_files>1"
      "</deduplicate_files><uuid>2b6a177f-ae44-4c48-86b5-d345f8093ea6</uuid><contents><file>"
      "<name>data/d/t/all_1_1_0/data.bin</name><size>62</size>" +
          sum + "</file><file><name>metadata/d/a&amp;b&#39;&#x41;.sql</name><size>3</size>" + sum +
          "<data_file>data/d/t/x</data_file></file><file><name>empty</name><size>0</size>"
          "</file></contents></config>",
      "<config><version>2</version><contents/></config>"};
}

Seeds listing_seeds() {
  const std::string begin = "<?xml version=\"1.0\"?>\n";
  return {
      '\0' + begin +
          "<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>a"
          "&amp;b</NextContinuationToken><Contents><Key>p/a%2Fb</Key><Size>12</Size><ETag>&quot;e1"
          "&quot;</ETag></Contents><Contents><Key>c</Key><Size>0</Size></Contents>"
          "</ListBucketResult>",
      '\1' + begin +
          "<ListVersionsResult><IsTruncated>false</IsTruncated><DeleteMarker><Key>a</Key>"
          "<VersionId>v2</VersionId><LastModified>2026-11-28T17:05:12Z</LastModified></"
          "DeleteMarker>"
          "<Version><Key>a</Key><VersionId>v1</VersionId><LastModified>2026-11-28T17:05:11Z"
          "</LastModified><Size>12</Size></Version></ListVersionsResult>"};
}

}  // namespace

std::vector<Subject> server_subjects() {
  return {{"archives", archives, archive_seeds, "", 40'000},
          {"control", control, control_seeds},
          {"histories", histories, history_seeds},
          {"paths", paths, path_seeds},
          {"definitions", definitions, definition_seeds, "", kFewInputs},
          {"backup_lists", backup_lists, backup_list_seeds, "", kFewInputs},
          {"listings", listings, listing_seeds}};
}

}  // namespace lifeboat::fuzz
