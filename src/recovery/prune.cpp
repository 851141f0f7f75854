#include "recovery/prune.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/host.hpp"
#include "clickhouse/snapshot.hpp"
#include "recovery/clickhouse_document.hpp"
#include "store/probe.hpp"

namespace lifeboat::recovery {
namespace {

const RetentionConfig& retention_of(const Config& config) {
  if (config.retention) return *config.retention;
  throw Error(Code::config, config.file.string(),
              "has no section 'retention': what is to be kept is not known, and nothing is dropped",
              "write one, such as `retention: {keep_last: 24, keep_daily: 14, keep_weekly: 8}`; "
              "`lifeboat init --print` shows all of it");
}

// A store whose ways are not known yet is asked first.
void probe_once(const Context& c, store::ObjectStore& store) {
  if (!store::recorded(store)) store::record(store, store::probe(store, c.random));
}

// A BACKUP is named by its point, so no other point has it.
std::vector<std::string> outside_of(const vault::RecoveryPoint& point) {
  if (!point.stores.contains("clickhouse")) return {};
  auto document = clickhouse_document_from_json(point.stores["clickhouse"]);
  return {document.backup};
}

void remove_backup(const Context& c, const std::string& name) {
  const auto* config = c.config.clickhouse ? &*c.config.clickhouse : nullptr;
  std::error_code error;
  if (config == nullptr || !std::filesystem::is_directory(config->backup_path, error)) {
    c.reporter.note("ClickHouse's backup " + name +
                    " stays on its disk, which can't be seen here: remove its folder there");
    return;
  }
  clickhouse::remove_backup({config->backup_disk, config->backup_path}, name);
}

vault::PruneOptions options_of(const Context& c, const PruneRequest& request) {
  const auto& retention = retention_of(c.config);
  vault::PruneOptions options;
  options.policy = retention.points;
  options.grace = retention.grace;
  options.drop = request.drop;
  options.dry_run = request.dry_run;
  options.nobody_else_writes = request.nobody_else_writes;
  options.host = host_name();
  options.outside = outside_of;
  options.remove_outside = [&c](const std::string& name) { remove_backup(c, name); };
  options.progress = [&c](const vault::PruneProgress& p) {
    c.reporter.progress(p.doing, p.done, p.total, "objects");
  };
  return options;
}

}  // namespace

vault::PruneReport prune(const Context& c, const vault::Vault& vault, const PruneRequest& request) {
  auto options = options_of(c, request);
  if (!request.dry_run) probe_once(c, vault.store());
  auto report = vault::prune(vault, options, c.clock, c.random, c.cancel);
  options.only_finish = true;
  while (request.wait && report.due && report.problems.empty()) {
    auto left = *report.due - c.clock.now();
    if (left > 0 && !c.cancel.sleep_for(Millis(std::min<std::int64_t>(left, 60'000)))) break;
    if (*report.due > c.clock.now()) continue;
    auto later = vault::prune(vault, options, c.clock, c.random, c.cancel);
    report.steps = std::move(later.steps);
    report.due = later.due;
    report.problems = std::move(later.problems);
    report.revoked.insert(report.revoked.end(), later.revoked.begin(), later.revoked.end());
  }
  c.cancel.check();
  return report;
}

}  // namespace lifeboat::recovery
