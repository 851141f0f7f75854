#include "recovery/restore_session.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "recovery/history.hpp"

namespace lifeboat::recovery {

std::filesystem::path plan_path(const Config& config, const std::string& plan_id) {
  return config.state / (plan_id + ".plan.json");
}

std::filesystem::path journal_path(const Config& config, const std::string& plan_id) {
  return config.state / (plan_id + ".journal.json");
}

Journal::Journal(const Config& config, const std::string& plan_id)
    : path_(journal_path(config, plan_id)) {
  document_ = {
      {"plan", plan_id}, {"done", nlohmann::json::array()}, {"data", nlohmann::json::object()}};
  auto text = read_file(path_);
  if (!text) return;
  try {
    document_ = nlohmann::json::parse(*text);
    if (document_.at("plan") != plan_id || !document_.at("done").is_array() ||
        !document_.at("data").is_object()) {
      throw Error(Code::corrupt, path_.string(), "is not the journal of plan " + plan_id);
    }
  } catch (const nlohmann::json::exception& e) {
    throw Error(Code::corrupt, path_.string(), e.what(),
                "make a new plan; what was restored so far must be emptied first");
  }
}

bool Journal::done(const std::string& step) const {
  for (const auto& name : document_["done"]) {
    if (name == step) return true;
  }
  return false;
}

void Journal::mark_done(const std::string& step) {
  document_["done"].push_back(step);
  save();
}

void Journal::save() {
  write_file_durably(path_, document_.dump(1));
}

std::vector<clickhouse::TableRef> journaled_tables(const nlohmann::json& kept) {
  std::vector<clickhouse::TableRef> out;
  for (const auto& t : kept.at("tables")) {
    out.push_back({t.at(0).get<std::string>(), t.at(1).get<std::string>()});
  }
  return out;
}

RestoreSession::RestoreSession(const Context& c, vault::Vault v, const Plan& p, Millis limit)
    : context(c),
      vault(v),
      plan(p),
      wait_limit(limit),
      journal(c.config, p.id),
      pin(c, v, p, journal),
      point(pin.point()) {}

const KafkaDocument& RestoreSession::kafka_document() {
  if (!kafka_document_) kafka_document_ = read_kafka_document(vault, point);
  return *kafka_document_;
}

const vault::Logbook& RestoreSession::logbook() {
  if (!logbook_) logbook_ = load_history(vault);
  return *logbook_;
}

const std::vector<ChosenTopic>& RestoreSession::chosen_topics() {
  if (!chosen_) chosen_ = choose_logs(logbook(), kafka_document());
  return *chosen_;
}

const ClickHouseDocument& RestoreSession::clickhouse_document() {
  if (!clickhouse_document_) {
    clickhouse_document_ = clickhouse_document_from_json(point.stores.at("clickhouse"));
  }
  return *clickhouse_document_;
}

const clickhouse::SchemaGraph& RestoreSession::clickhouse_schema() {
  if (!schema_) {
    auto text =
        vault::SnapshotReader(vault, clickhouse_document().snapshot).read_small("schema.json");
    if (!text) throw Error(Code::corrupt, "ClickHouse's snapshot", "lacks schema.json");
    schema_ = clickhouse::schema_from_json(nlohmann::json::parse(*text));
  }
  return *schema_;
}

clickhouse::Client& RestoreSession::clickhouse() {
  if (!clickhouse_) {
    clickhouse_ = std::make_unique<clickhouse::Client>(clickhouse_config(context.config));
  }
  return *clickhouse_;
}

kafka::Cluster& RestoreSession::cluster() {
  if (!cluster_) {
    cluster_ = std::make_unique<kafka::Cluster>(kafka_config(context.config), context.clock);
  }
  return *cluster_;
}

kafka::Admin& RestoreSession::admin() {
  if (!admin_) admin_ = std::make_unique<kafka::Admin>(kafka_config(context.config), context.clock);
  return *admin_;
}

kafka::GroupHold& RestoreSession::hold(const std::string& group,
                                       const std::vector<std::string>& topics) {
  auto& held = holds_[group];
  if (!held) {
    held = std::make_unique<kafka::GroupHold>(kafka_config(context.config), group, topics,
                                              kafka::EvictOthers::yes, context.cancel,
                                              Deadline::after(wait_limit), context.clock);
  }
  held->check();
  return *held;
}

void RestoreSession::let_go(const std::string& group) {
  auto it = holds_.find(group);
  if (it == holds_.end()) return;
  it->second->leave();
  holds_.erase(it);
}

std::optional<kafka::OffsetTranslation> RestoreSession::translation(
    const kafka::TopicPartition& partition) {
  if (!restores(Store::kafka)) return std::nullopt;
  std::lock_guard lock(translations_);
  const auto& kept = journal.data()["translations"];
  auto it = kept.find(kafka::to_string(partition));
  if (it == kept.end()) return kafka::OffsetTranslation();  // nothing of it was archived
  return kafka::OffsetTranslation::parse(it->get<std::string>());
}

void RestoreSession::keep_translation(const kafka::TopicPartition& partition,
                                      const kafka::OffsetTranslation& translation) {
  std::lock_guard lock(translations_);
  journal.data()["translations"][kafka::to_string(partition)] = translation.serialise();
}

void RestoreSession::commit(kafka::GroupHold& hold, const std::string& group,
                            const std::map<kafka::TopicPartition, Offset>& offsets) {
  hold.commit(offsets);
  auto read = hold.committed();
  for (const auto& [tp, offset] : offsets) {
    auto it = read.find(tp);
    if (it != read.end() && it->second == offset) continue;
    throw Error(Code::failed, "consumer group " + group,
                fmt::format("{} was set to {}, but reads back as {}", kafka::to_string(tp), offset,
                            it == read.end() ? "nothing" : std::to_string(it->second.value)),
                "run the same command again");
  }
  hold.check();
}

void RestoreSession::wait_consuming(const std::string& group,
                                    const std::map<kafka::TopicPartition, Offset>& from) {
  std::vector<kafka::TopicPartition> partitions;
  for (const auto& [tp, offset] : from) partitions.push_back(tp);
  auto ends = cluster().offsets(partitions);
  wait_until("waiting until group " + group + " consumes past its cursors", [&] {
    auto committed = admin().committed(group);
    for (const auto& [tp, offset] : from) {
      if (ends.at(tp).high_watermark <= offset) continue;
      auto it = committed.find(tp);
      if (it == committed.end() || it->second <= offset) return false;
    }
    return true;
  });
}

void RestoreSession::wait_until(const std::string& note, const std::function<bool()>& there) {
  auto deadline = Deadline::after(wait_limit);
  bool told = false;
  while (!there()) {
    if (!told) context.reporter.note(note);
    told = true;
    if (deadline.passed()) {
      throw Error(Code::timeout, plan.id, note + ": not so within the time that was given",
                  "see to it, then `lifeboat apply` the same plan again: it goes on from here");
    }
    context.cancel.sleep_for(Millis(100));
    context.cancel.check();
  }
}

}  // namespace lifeboat::recovery
