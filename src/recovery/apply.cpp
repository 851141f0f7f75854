#include "recovery/apply.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "recovery/restore_lock.hpp"
#include "recovery/restore_logs.hpp"
#include "recovery/restore_session.hpp"
#include "recovery/state_folder.hpp"

namespace lifeboat::recovery {
namespace {

const std::map<std::string, void (*)(RestoreSession&)> kSteps = {
    {"postgres-data", postgres_data},
    {"postgres-recovery", postgres_recovery},
    {"postgres-wait", postgres_wait},
    {"zookeeper-hold-clickhouse", zookeeper_hold_clickhouse},
    {"zookeeper-brokers-stopped", zookeeper_brokers_stopped},
    {"zookeeper-release-clickhouse", zookeeper_release_clickhouse},
    {"zookeeper-wait", zookeeper_wait},
    {"zookeeper-tree", zookeeper_tree},
    {"zookeeper-kafka", zookeeper_kafka},
    {"kafka-hold-clickhouse", kafka_hold_clickhouse},
    {"kafka-wait", kafka_wait},
    {"kafka-detach-clickhouse", kafka_detach_clickhouse},
    {"kafka-topics", kafka_topics},
    {"kafka-batches", kafka_batches},
    {"seed-stop", seed_stop},
    {"seed-write", seed_write},
    {"seed-start", seed_start},
    {"seed-verify", seed_verify},
    {"kafka-cursors", kafka_cursors},
    {"kafka-configs", kafka_configs},
    {"kafka-release-clickhouse", kafka_release_clickhouse},
    {"clickhouse-wait", clickhouse_wait},
    {"clickhouse-check", clickhouse_check},
    {"clickhouse-hold-groups", clickhouse_hold_groups},
    {"clickhouse-data", clickhouse_data},
    {"fill-retention", fill_retention},
    {"fill-topics", fill_topics},
    {"fill-consume", fill_consume},
    {"fill-check", fill_check},
    {"fill-clean", fill_clean},
    {"clickhouse-cursors", clickhouse_cursors},
    {"clickhouse-views", clickhouse_views},
    {"clickhouse-kafka-tables", clickhouse_kafka_tables},
    {"clickhouse-release", clickhouse_release},
    {"clickhouse-consume", clickhouse_consume}};

void check_plan(const vault::Vault& vault, const Plan& plan) {
  if (plan.vault_id != vault.id()) {
    throw Error(Code::refused, "plan " + plan.id, "was made for another vault",
                "make a new plan with this lifeboat.yaml");
  }
  for (const auto& step : plan.steps) {
    if (kSteps.contains(step.name)) continue;
    throw Error(Code::unsupported, "plan " + plan.id, "has the unknown step " + step.name,
                "make a new one with `lifeboat plan`");
  }
}

void forget_plan(const Config& config, const std::string& id) {
  std::filesystem::remove(plan_path(config, id));
  std::filesystem::remove(journal_path(config, id));
}

// The pin is there: what the plan read of the logbook before stays from now on, if it is still
// there. A plan that does not hold any more, and of which nothing is done, is given up, so that the
// same command makes another one.
void check_logs(RestoreSession& s, RestoreLogs& logs, bool touched) {
  const auto gone = logs.gone();
  if (gone.empty()) return;
  if (!touched) {
    s.pin.release();
    forget_plan(s.context.config, s.plan.id);
  }
  throw Error(
      Code::conflict, "plan " + s.plan.id,
      fmt::format("does not hold any more, prune took since it was made what it reads of the "
                  "logbook: {}",
                  fmt::join(gone, "; ")),
      touched
          ? fmt::format("begin anew with what is there: remove {}, restore into emptied targets "
                        "or with --overwrite; or choose a later point (`lifeboat points`)",
                        plan_path(s.context.config, s.plan.id).string())
          : "nothing was touched: plan anew (`lifeboat restore` again, or `lifeboat plan`), or "
            "choose a later point (`lifeboat points`)");
}

// Too late for an error: what was read before it went is all right.
void tell_gone(RestoreSession& s, RestoreLogs& logs) {
  for (const auto& gone : logs.gone()) {
    s.notes.push_back("WARNING: while this restore read the logbook, prune took of it: " + gone +
                      ". Look whether all came back");
    s.context.reporter.note(s.notes.back());
  }
}

}  // namespace

ApplyResult apply(const Context& c, vault::Vault vault, const Plan& plan, Millis wait_limit) {
  check_plan(vault, plan);
  auto alone = RestoreLock::for_restore(c);
  bool touched = std::filesystem::exists(plan_path(c.config, plan.id));
  save_plan(c.config, plan);
  RestoreSession session(c, vault, plan, wait_limit);
  RestoreLogs logs(session.vault, plan, session.point);
  ApplyResult result;
  for (const auto& planned : plan.steps) {
    c.cancel.check();
    if (session.journal.done(planned.name)) {
      result.steps.push_back({planned.name, 0, true});
      continue;
    }
    check_logs(session, logs, std::exchange(touched, true));
    auto begun = c.clock.steady();
    step(c, planned.name, planned.title, [&] { kSteps.at(planned.name)(session); });
    session.journal.mark_done(planned.name);
    result.steps.push_back({planned.name, seconds_between(begun, c.clock.steady()), false});
  }
  tell_gone(session, logs);
  session.journal.mark_done("all");
  session.pin.release();
  result.notes = session.notes;
  return result;
}

void save_plan(const Config& config, const Plan& plan) {
  make_state_folder(config);
  write_file_durably(plan_path(config, plan.id), to_json(plan).dump(1));
}

std::vector<Plan> unfinished_plans(const Config& config) {
  std::vector<Plan> out;
  if (!std::filesystem::is_directory(config.state)) return out;
  for (const auto& entry : std::filesystem::directory_iterator(config.state)) {
    std::string name = entry.path().filename().string();
    if (!name.ends_with(".plan.json")) continue;
    auto text = read_file(entry.path());
    if (!text) continue;
    try {
      Plan plan = plan_from_json(nlohmann::json::parse(*text));
      if (!Journal(config, plan.id).done("all")) out.push_back(std::move(plan));
    } catch (const nlohmann::json::exception& e) {
      throw Error(Code::corrupt, entry.path().string(), e.what(), "remove the file");
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

void refuse_while_detached(const Config& config, const clickhouse::SchemaGraph& graph) {
  const auto plans = unfinished_plans(config);
  for (const auto& plan : plans) {
    Journal journal(config, plan.id);
    for (const char* key : {"clickhouse_living", "zookeeper_detached"}) {
      if (!journal.data().contains(key)) continue;
      for (const auto& table : journaled_tables(journal.data()[key])) {
        if (graph.find(table) != nullptr) continue;
        throw Error(
            Code::refused, "restore " + plan.id,
            fmt::format("is not finished, and has detached {}: a point would lack it",
                        clickhouse::to_string(table)),
            fmt::format("go on with it (--resume); or give it up: restart ClickHouse, which "
                        "attaches the table again, or remove {}",
                        plan_path(config, plan.id).string()));
      }
    }
  }
}

}  // namespace lifeboat::recovery
