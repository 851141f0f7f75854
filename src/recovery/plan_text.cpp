#include <fmt/format.h>

#include "base/error.hpp"
#include "recovery/plan.hpp"

// A plan as JSON and as text. What is in it: plan.cpp.
namespace lifeboat::recovery {
namespace {

constexpr int kPlanVersion = 1;

}  // namespace

std::string_view to_string(Store store) {
  switch (store) {
    case Store::postgres:
      return "postgres";
    case Store::clickhouse:
      return "clickhouse";
    case Store::kafka:
      return "kafka";
    case Store::zookeeper:
      return "zookeeper";
  }
  return "?";
}

std::optional<Store> parse_store(std::string_view name) {
  for (Store s : {Store::postgres, Store::clickhouse, Store::kafka, Store::zookeeper}) {
    if (name == to_string(s)) return s;
  }
  return std::nullopt;
}

std::string_view to_string(KafkaWay way) {
  return way == KafkaWay::seed ? "seed" : "produce";
}

std::optional<KafkaWay> parse_kafka_way(std::string_view name) {
  for (KafkaWay way : {KafkaWay::seed, KafkaWay::produce}) {
    if (name == to_string(way)) return way;
  }
  return std::nullopt;
}

nlohmann::json to_json(const Plan& plan) {
  nlohmann::json out = {{"version", kPlanVersion},  {"id", plan.id},
                        {"made", plan.made.value},  {"vault", plan.vault_id},
                        {"point", plan.point},      {"overwrite", plan.overwrite},
                        {"warnings", plan.warnings}};
  if (plan.accept_loss) out["accept_loss"] = true;
  if (plan.stores.contains(Store::kafka)) out["kafka"] = to_string(plan.kafka);
  if (plan.to) out["to"] = plan.to->value;
  if (plan.point_only) out["point_only"] = true;
  out["stores"] = nlohmann::json::array();
  for (Store s : plan.stores) out["stores"].push_back(to_string(s));
  out["steps"] = nlohmann::json::array();
  for (const auto& s : plan.steps) {
    out["steps"].push_back({{"name", s.name}, {"store", to_string(s.store)}, {"title", s.title}});
  }
  out["targets"] = nlohmann::json::array();
  for (const auto& t : plan.targets) {
    out["targets"].push_back({{"store", to_string(t.store)}, {"name", t.name}, {"found", t.found}});
  }
  return out;
}

Plan plan_from_json(const nlohmann::json& json) {
  auto store_of = [](const nlohmann::json& name) {
    auto store = parse_store(name.get<std::string>());
    if (!store) throw Error(Code::corrupt, "plan", "names an unknown store");
    return *store;
  };
  try {
    if (json.at("version").get<int>() != kPlanVersion) {
      throw Error(Code::unsupported, "plan", "is of version " + json.at("version").dump(),
                  "make a new one with `lifeboat plan`");
    }
    Plan plan;
    json.at("id").get_to(plan.id);
    plan.made = Timestamp(json.at("made").get<std::int64_t>());
    json.at("vault").get_to(plan.vault_id);
    json.at("point").get_to(plan.point);
    json.at("overwrite").get_to(plan.overwrite);
    json.at("warnings").get_to(plan.warnings);
    plan.accept_loss = json.value("accept_loss", false);
    plan.point_only = json.value("point_only", false);
    if (json.contains("to")) plan.to = Timestamp(json.at("to").get<std::int64_t>());
    for (const auto& s : json.at("stores")) plan.stores.insert(store_of(s));
    if (plan.stores.contains(Store::kafka)) {
      const auto way = parse_kafka_way(json.at("kafka").get<std::string>());
      if (!way) throw Error(Code::corrupt, "plan", "names an unknown way of restoring Kafka");
      plan.kafka = *way;
    }
    for (const auto& s : json.at("steps")) {
      plan.steps.push_back({s.at("name"), store_of(s.at("store")), s.at("title")});
    }
    for (const auto& t : json.at("targets")) {
      plan.targets.push_back({store_of(t.at("store")), t.at("name"), t.at("found")});
    }
    if (plan.id.empty() || plan.id.find('/') != std::string::npos) {
      throw Error(Code::corrupt, "plan", "has no usable id");
    }
    return plan;
  } catch (const nlohmann::json::exception& e) {
    throw Error(Code::corrupt, "plan", e.what(), "make a new one with `lifeboat plan`");
  }
}

std::string describe(const Plan& plan) {
  std::string out = fmt::format("Plan {}\n  from point {}\n", plan.id, plan.point);
  if (plan.stores.contains(Store::kafka)) {
    out += plan.kafka == KafkaWay::seed ? "  Kafka by seeding the brokers' disks: same offsets\n"
                                        : "  Kafka by producing anew: new offsets, translated\n";
  }
  if (plan.point_only) out += "  PostgreSQL as the point has it, not later\n";
  out += plan.to ? fmt::format("  PostgreSQL up to {}\n", to_string(*plan.to)) : "";
  for (const auto& t : plan.targets) {
    out += fmt::format("  into {} {}{}\n", to_string(t.store), t.name,
                       t.found.empty() ? "" : ", OVERWRITING " + t.found);
  }
  for (const auto& w : plan.warnings) out += fmt::format("  warning: {}\n", w);
  out += "Steps\n";
  int n = 0;
  for (const auto& s : plan.steps) out += fmt::format("  {:2}. {:<26} {}\n", ++n, s.name, s.title);
  return out;
}

}  // namespace lifeboat::recovery
