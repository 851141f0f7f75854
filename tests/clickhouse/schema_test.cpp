#include "clickhouse/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "clickhouse/sql.hpp"
#include "table_row.hpp"

namespace lifeboat::clickhouse {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

json row(const std::string& name, const std::string& engine, const std::string& create,
         const json& more = json::object()) {
  return test::table_row("ph", name, engine, create, more);
}

json pushes_into(std::vector<std::string> views) {
  return {{"dependencies_database", std::vector<std::string>(views.size(), "ph")},
          {"dependencies_table", views}};
}

json merge_tree(const std::string& name, std::vector<std::string> views = {}) {
  return row(name, "MergeTree", "CREATE TABLE ph." + name + " (`id` UInt64) ENGINE = MergeTree",
             pushes_into(std::move(views)));
}

json kafka(const std::string& name, const std::string& engine_full,
           std::vector<std::string> views = {}) {
  json more = pushes_into(std::move(views));
  more["engine_full"] = engine_full;
  return row(name, "Kafka", "CREATE TABLE ph." + name + " (`id` UInt64) ENGINE = " + engine_full,
             more);
}

json view(const std::string& name, const std::string& source, const std::string& target) {
  return row(name, "MaterializedView",
             "CREATE MATERIALIZED VIEW ph." + name + " TO ph." + target +
                 " (`id` UInt64) AS SELECT id FROM ph." + source,
             {{"target_database", "ph"}, {"target_table", target}});
}

constexpr const char* kSettings =
    "Kafka SETTINGS kafka_broker_list = '127.0.0.1:9092', kafka_topic_list = 'ev, pe', "
    "kafka_group_name = 'group1', kafka_format = 'JSONEachRow', kafka_num_consumers = 2";

SchemaGraph graph(std::vector<json> rows, const Collections& collections = {}) {
  SchemaGraph start;
  start.databases = {"ph"};
  start.database_engines = {"Atomic"};
  return graph_from_rows(start, rows, collections);
}

std::vector<std::string> names(const std::vector<TableRef>& refs) {
  std::vector<std::string> out;
  for (const auto& ref : refs) out.push_back(ref.name);
  return out;
}

// PostHog's shape: two views on one Kafka table, one view chained on a target.
std::vector<json> posthog_rows() {
  return {kafka("kafka_events", kSettings, {"events_mv", "recent_mv"}),
          merge_tree("events", {"a_by_day_mv", "z_by_month_mv"}),
          merge_tree("by_day", {"a_by_year_mv"}),
          merge_tree("by_month"),
          merge_tree("by_year"),
          merge_tree("recent"),
          view("events_mv", "kafka_events", "events"),
          view("recent_mv", "kafka_events", "recent"),
          view("a_by_day_mv", "events", "by_day"),
          view("z_by_month_mv", "events", "by_month"),
          view("a_by_year_mv", "by_day", "by_year")};
}

TEST(Schema, FindsWhatFeedsWhat) {
  const auto g = graph(posthog_rows());
  ASSERT_EQ(g.kafka_tables.size(), 1u);
  EXPECT_EQ(g.kafka_tables[0].brokers, "127.0.0.1:9092");
  EXPECT_THAT(g.kafka_tables[0].topics, ElementsAre("ev", "pe"));
  EXPECT_EQ(g.kafka_tables[0].group, "group1");
  EXPECT_EQ(g.kafka_tables[0].consumers, 2);
  EXPECT_THAT(g.kafka_tables[0].unsupported, IsEmpty());
  auto chained = std::ranges::find(g.views, TableRef{"ph", "a_by_year_mv"}, &MaterializedView::ref);
  ASSERT_NE(chained, g.views.end());
  EXPECT_EQ(chained->source, (TableRef{"ph", "by_day"}));
  EXPECT_EQ(chained->target, (TableRef{"ph", "by_year"}));
  EXPECT_FALSE(chained->inner_target);
  EXPECT_THAT(names(data_tables(g)),
              ElementsAre("by_day", "by_month", "by_year", "events", "recent"));
  EXPECT_THAT(consumer_groups(g), ElementsAre("group1"));
  EXPECT_THAT(topics_of(g, "group1"), ElementsAre("ev", "pe"));
  EXPECT_NE(g.find({"ph", "events"}), nullptr);
  EXPECT_EQ(g.find({"other", "events"}), nullptr);
}

TEST(Schema, AViewStandsBeforeAnythingPushesIntoItsSource) {
  auto rows = posthog_rows();
  std::ranges::sort(rows, {}, [](const json& r) { return r["name"].get<std::string>(); });
  do {
    const auto g = graph(rows);
    const auto order = restore_order(g);
    ASSERT_EQ(order.views.size(), 5u);
    auto at = [&](const char* name) {
      return std::ranges::find(order.views, TableRef{"ph", name}) - order.views.begin();
    };
    EXPECT_LT(at("a_by_day_mv"), at("events_mv"));
    EXPECT_LT(at("z_by_month_mv"), at("events_mv"));
    EXPECT_LT(at("a_by_year_mv"), at("a_by_day_mv"));
    EXPECT_THAT(names(order.kafka), ElementsAre("kafka_events"));
    std::ranges::rotate(rows, rows.begin() + 1);
  } while (rows.front()["name"] != "a_by_day_mv");
}

TEST(Schema, ViewsInACircleAreNamed) {
  std::vector<json> rows = {merge_tree("a", {"a_to_b"}), merge_tree("b", {"b_to_a"}),
                            view("a_to_b", "a", "b"), view("b_to_a", "b", "a")};
  try {
    restore_order(graph(rows));
    FAIL() << "a circle has no order";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
    EXPECT_THAT(error.subject(), HasSubstr("_to_"));
  }
}

TEST(Schema, AnInnerTableIsBackedUpUnderItsView) {
  const std::string inner = ".inner_id.2d2218e9-498a-482b-bd63-82a06f7617de";
  const std::string refreshed = ".inner_id.fc58e181-d412-47f3-b67c-a3bbbcdb01f0";
  auto summing = view("sums", "e", inner);
  auto hourly = view("hourly", "e", refreshed);
  hourly["create_table_query"] =
      "CREATE MATERIALIZED VIEW ph.hourly REFRESH EVERY 1 HOUR (`n` UInt64) ENGINE = MergeTree "
      "ORDER BY n DEFINER = default SQL SECURITY DEFINER AS SELECT count() AS n FROM ph.e";
  const auto g =
      graph({merge_tree("e", {"sums"}), merge_tree(inner), merge_tree(refreshed), summing, hourly});
  EXPECT_THAT(names(data_tables(g)), ElementsAre("e", "sums"));
  EXPECT_EQ(g.find({"ph", inner})->kind, Kind::inner);
  const auto order = restore_order(g);
  EXPECT_THAT(names(order.data), ElementsAre("e", "sums"));
  EXPECT_THAT(names(order.views), ElementsAre("hourly"));
  EXPECT_THAT(order.definitions, IsEmpty());
}

TEST(Schema, WhatDataTablesNeedComesFirst) {
  auto dictionary = row("d", "Dictionary",
                        "CREATE DICTIONARY ph.d (`id` UInt64) PRIMARY KEY id "
                        "SOURCE(CLICKHOUSE(DB 'ph' TABLE 'e')) LAYOUT(FLAT())");
  auto with_default = merge_tree("named");
  with_default["create_table_query"] =
      "CREATE TABLE ph.named (`id` UInt64, `n` String DEFAULT dictGet('ph.d', 'e', id)) ENGINE = "
      "MergeTree ORDER BY id";
  auto outer = row("a_outer", "View",
                   "CREATE VIEW ph.a_outer (`id` UInt64) AS SELECT id FROM "
                   "ph.inner_view");
  auto inner = row("inner_view", "View",
                   "CREATE VIEW ph.inner_view (`id` UInt64) AS SELECT id "
                   "FROM ph.e");
  const auto order =
      restore_order(graph({dictionary, with_default, merge_tree("e"), outer, inner}));
  EXPECT_THAT(names(order.first), ElementsAre("d"));
  EXPECT_THAT(names(order.data), ElementsAre("e", "named"));
  EXPECT_THAT(names(order.definitions), ElementsAre("inner_view", "a_outer"));
}

TEST(Schema, SecretsThatAreHiddenComeFromTheBackup) {
  auto dictionary = row("d", "Dictionary",
                        "CREATE DICTIONARY ph.d (`id` UInt64) PRIMARY KEY id SOURCE(CLICKHOUSE(DB "
                        "'ph' TABLE 'e' PASSWORD '[HIDDEN]')) LAYOUT(FLAT())");
  auto hidden = kafka("k", std::string(kSettings) + ", kafka_sasl_password = '[HIDDEN]'");
  const auto g = graph({dictionary, hidden, merge_tree("e")});
  EXPECT_THAT(names(data_tables(g)), ElementsAre("d", "e"));
  EXPECT_THAT(g.kafka_tables[0].unsupported, HasSubstr("hides a secret"));
  EXPECT_THAT(consumer_groups(g), IsEmpty());
}

TEST(Schema, EnginesWhoseRowsABackupDoesNotHoldAreSaid) {
  auto rocks = row("r", "EmbeddedRocksDB", "CREATE TABLE ph.r ENGINE = EmbeddedRocksDB",
                   {{"has_own_data", 1}});
  auto null = row("n", "Null", "CREATE TABLE ph.n (`id` UInt64) ENGINE = `Null`");
  const auto g = graph({rocks, null});
  EXPECT_THAT(g.find({"ph", "r"})->unsupported, HasSubstr("EmbeddedRocksDB"));
  EXPECT_EQ(g.find({"ph", "n"})->kind, Kind::other);
  EXPECT_THAT(names(restore_order(g).definitions), ElementsAre("n"));
}

TEST(Schema, KafkaDefinitionsOfAllShapes) {
  struct Case {
    std::string engine;
    std::vector<std::string> topics;
    std::string group, collection, unsupported;
  };
  const Collections collections = {{"msk",
                                    {{"kafka_broker_list", "k:9092"},
                                     {"kafka_topic_list", "from_collection"},
                                     {"kafka_group_name", "g_collection"}}},
                                   {"dark", {{"kafka_group_name", "[HIDDEN]"}}}};
  const std::vector<Case> cases = {
      {"Kafka('b:9092', 'one,two', 'g', 'JSONEachRow')", {"one", "two"}, "g", "", ""},
      {"Kafka('b:9092', 'one', 'g', 'JSONEachRow') SETTINGS kafka_num_consumers = 1",
       {"one"},
       "g",
       "",
       ""},
      {"Kafka(msk)", {"from_collection"}, "g_collection", "msk", ""},
      {"Kafka(msk, kafka_topic_list = 'mine', kafka_group_name = 'it''s')",
       {"mine"},
       "it's",
       "msk",
       ""},
      {"Kafka(msk) SETTINGS kafka_group_name = 'later'", {"from_collection"}, "later", "msk", ""},
      {"Kafka(dark)", {}, "", "dark", "hides"},
      {"Kafka(unheard_of)", {}, "", "unheard_of", "hides"},
      {"Kafka SETTINGS kafka_topic_list = 't'", {"t"}, "", "", "names no group"},
      {"Kafka SETTINGS kafka_topic_list = 't', kafka_group_name = 'g', kafka_keeper_path = '/x'",
       {"t"},
       "g",
       "",
       "Keeper"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.engine);
    const auto g = graph({kafka("k", c.engine)}, collections);
    const auto& found = g.kafka_tables.at(0);
    EXPECT_EQ(found.topics, c.topics);
    EXPECT_EQ(found.group, c.group);
    EXPECT_EQ(found.named_collection, c.collection);
    if (c.unsupported.empty()) {
      EXPECT_THAT(found.unsupported, IsEmpty());
    } else {
      EXPECT_THAT(found.unsupported, HasSubstr(c.unsupported));
    }
  }
}

TEST(Schema, HostileRowsAreRefusedByName) {
  struct Case {
    std::string field;
    json value;
  };
  const std::vector<Case> cases = {{"name", 17},
                                   {"engine", nullptr},
                                   {"create_table_query", json::array()},
                                   {"dependencies_table", "not a list"},
                                   {"dependencies_table", {"more", "than", "databases"}},
                                   {"loading_dependencies_table", {{1, 2}}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.field);
    auto bad = merge_tree("e");
    bad[c.field] = c.value;
    EXPECT_THROW(graph({bad}), Error);
    bad = merge_tree("e");
    bad.erase(c.field);
    EXPECT_THROW(graph({bad}), Error);
  }
  EXPECT_THROW(graph({kafka("k", "Kafka('unclosed")}), Error);
  EXPECT_THROW(graph({kafka("k", "Kafka /* unclosed")}), Error);
}

TEST(Schema, JsonBringsTheSameGraphBack) {
  auto rows = posthog_rows();
  rows.push_back(kafka("strange `name`\n", "Kafka(dark)"));
  rows[1]["total_rows"] = 18446744073709551615ull;
  const auto g = graph(rows);
  const auto text = to_json(g).dump();
  const auto again = schema_from_json(json::parse(text));
  EXPECT_EQ(to_json(again).dump(), text);
  EXPECT_EQ(again.find({"ph", "events"})->total_rows, 18446744073709551615ull);
}

TEST(Schema, HostileJsonIsCorrupt) {
  const auto good = to_json(graph(posthog_rows()));
  for (const auto& [key, value] : good.items()) {
    auto bad = good;
    bad.erase(key);
    EXPECT_THROW(schema_from_json(bad), Error) << key;
    bad[key] = 1;
    EXPECT_THROW(schema_from_json(bad), Error) << key;
  }
  for (const auto& [key, value] : good["tables"][0].items()) {
    auto bad = good;
    bad["tables"][0].erase(key);
    EXPECT_THROW(schema_from_json(bad), Error) << key;
    bad["tables"][0][key] = json::object({{"x", 1}});
    EXPECT_THROW(schema_from_json(bad), Error) << key;
  }
  EXPECT_THROW(schema_from_json(json()), Error);
}

TEST(Sql, TokensOfWhatTheServerPrints) {
  const auto tokens =
      tokenize("SELECT `a``b`, 'it\\'s', 1.5e3 -- x\n FROM \"d\\\"b\".t /* y */", "");
  std::vector<std::string> texts;
  for (const auto& token : tokens) texts.push_back(token.text);
  EXPECT_THAT(texts,
              ElementsAre("SELECT", "a`b", ",", "it's", ",", "1.5e3", "FROM", "d\"b", ".", "t"));
  EXPECT_THROW(tokenize("'never ends", "t"), Error);
  EXPECT_THROW(tokenize("`never ends\\", "t"), Error);
}

TEST(Sql, QuotingSurvivesAnything) {
  EXPECT_EQ(quote_identifier("a`b\\c"), "`a\\`b\\\\c`");
  EXPECT_THROW(quote_identifier(""), Error);
  EXPECT_THROW(quote_identifier(std::string("a\0b", 3)), Error);
  EXPECT_EQ(quote_literal(std::string("a'b\\\0", 5)), "'a\\'b\\\\\\0'");
}

TEST(Sql, SecretsAreTakenOut) {
  for (const std::string sql :
       {"CREATE TABLE t ENGINE = Kafka SETTINGS kafka_sasl_password = 'hunter2', x = 1",
        "CREATE USER u IDENTIFIED BY 'hunter2'",
        "CREATE USER u IDENTIFIED WITH sha256_password BY 'hunter2'",
        "CREATE DICTIONARY d SOURCE(CLICKHOUSE(USER 'u' PASSWORD 'hunter2'))",
        "S3('url', secret_access_key='hunter2\\'x')", "password = 'hunter2 and cut off"}) {
    EXPECT_EQ(without_secrets(sql).find("hunter2"), std::string::npos) << without_secrets(sql);
  }
  EXPECT_EQ(without_secrets("SELECT 'plain'"), "SELECT 'plain'");
  EXPECT_LE(without_secrets(std::string(1 << 20, '\'')).size(), 5000u);
}

}  // namespace
}  // namespace lifeboat::clickhouse
