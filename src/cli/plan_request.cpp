#include "cli/plan_request.hpp"

#include <CLI/CLI.hpp>

#include "base/error.hpp"

namespace lifeboat::cli {

void add_plan_words(CLI::App& verb, PlanWords& words) {
  verb.add_option("STORE", words.stores,
                  "postgres, clickhouse, kafka, zookeeper, or all: what is to be restored")
      ->required();
  verb.add_option("--point", words.point,
                  "Recovery point: an id, its beginning, a time, or latest (the default)");
  verb.add_option("--to", words.to,
                  "PostgreSQL: replay up to this time, e.g. 2026-11-22T17:05:06Z (UTC unless it "
                  "says otherwise); without it to the end of the logbook");
  verb.add_option("--overwrite", words.overwrite,
                  "Name of a target that may be written over though it is not empty")
      ->take_all()
      ->type_size(1)
      ->allow_extra_args(false);
  verb.add_option("--kafka", words.kafka,
                  "How Kafka comes back: seed (into the stopped brokers' log dirs, original "
                  "offsets) or produce; seed when lifeboat.yaml names all log dirs");
  verb.add_flag("--accept-loss", words.accept_loss,
                "Go on though events are lost that neither Kafka nor the logbook holds");
}

std::set<recovery::Store> parse_stores(const std::vector<std::string>& names,
                                       const recovery::Config& config) {
  std::set<recovery::Store> stores;
  for (const auto& name : names) {
    if (name == "all") {
      recovery::require_server(config);
      if (config.postgres) stores.insert(recovery::Store::postgres);
      if (config.clickhouse) stores.insert(recovery::Store::clickhouse);
      if (config.kafka) stores.insert(recovery::Store::kafka);
      if (config.zookeeper) stores.insert(recovery::Store::zookeeper);
    } else if (auto store = recovery::parse_store(name)) {
      stores.insert(*store);
    } else {
      throw Error(Code::usage, "'" + name + "'", "is no store",
                  "name some of postgres, clickhouse, kafka, zookeeper, or all");
    }
  }
  return stores;
}

recovery::PlanRequest to_request(const PlanWords& words, const recovery::Config& config) {
  recovery::PlanRequest request;
  request.stores = parse_stores(words.stores, config);
  if (!words.point.empty()) request.point = words.point;
  request.overwrite = {words.overwrite.begin(), words.overwrite.end()};
  request.accept_loss = words.accept_loss;
  request.kafka = recovery::parse_kafka_way(words.kafka);
  if (!words.kafka.empty() && !request.kafka) {
    throw Error(Code::usage, "--kafka", "'" + words.kafka + "' is no way to restore Kafka",
                "write seed or produce");
  }
  if (words.to.empty()) return request;
  request.to = parse_timestamp(words.to);
  if (!request.to) {
    throw Error(Code::usage, "--to", "'" + words.to + "' is no time",
                "write it as 2026-11-22T17:05:06Z");
  }
  if (!request.stores.contains(recovery::Store::postgres)) {
    throw Error(Code::usage, "--to", "is for PostgreSQL, which is not among the stores",
                "name postgres too, or leave --to out");
  }
  return request;
}

}  // namespace lifeboat::cli
