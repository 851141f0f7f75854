#include "vault/prune_logs.hpp"

#include <algorithm>
#include <map>

namespace lifeboat::vault {
namespace {

// All that there is, what was pruned before and is still stored too.
std::vector<KnownLog> known_logs(const Survey& found) {
  std::map<LogName, Range> all;
  auto take = [&](const LogName& log, Position from, Position to) {
    auto& range = all.try_emplace(log, Range{from, to}).first->second;
    range.from = std::min(range.from, from);
    range.to = std::max(range.to, to);
  };
  for (const auto& one : found.summaries) {
    for (const auto& log : one.summary.logs) {
      for (const auto& range : log.ranges) take(log.log, range.from, range.to);
      for (const auto& gap : log.gaps) take(log.log, gap.from, gap.to);
    }
  }
  for (const auto& one : found.footers) {
    for (const auto& stored : one.footer.extents) {
      take(stored.extent.log, stored.extent.base, stored.extent.next);
    }
    for (const auto& gap : one.footer.gaps) take(gap.log, gap.from, gap.to);
  }
  std::vector<KnownLog> out;
  for (const auto& [log, range] : all) out.push_back({log, range.from, range.to});
  return out;
}

void count(const Vault& vault, const Survey& found, const PrunedLogs& before,
           std::map<LogName, LogPruning>& logs) {
  auto wanted = [&](const LogName& log, const Ranges&) { return logs.contains(log); };
  for_each_extent(vault, found, wanted,
                  [&](const ObjectEntry&, const LogName& log, const StoredExtent& stored) {
                    auto& one = logs.at(log);
                    const auto base = stored.extent.base, next = stored.extent.next;
                    if (!before.needs(log, base, next)) return;
                    one.next = std::max(one.next, next);
                    one.first = std::min(one.first, base);
                    if (meets(one.verdict.kept, {base, next})) return;
                    one.bytes = one.bytes + stored.stored.value;
                    ++one.extents;
                  });
}

}  // namespace

std::vector<LogPruning> plan_pruning(const Vault& vault, const std::vector<PointLogs>& points) {
  const auto found = survey(vault);
  const auto before = read_pruned(vault).logs;
  std::map<LogName, LogPruning> logs;
  for (auto& verdict : apply_window(points, known_logs(found))) {
    const auto log = verdict.log;
    logs[log] = {std::move(verdict), kLastPosition, kFirstPosition, {}, 0};
  }
  count(vault, found, before, logs);
  std::vector<LogPruning> out;
  for (auto& [log, one] : logs) {
    if (one.extents > 0) out.push_back(std::move(one));
  }
  return out;
}

PrunedLogs still_unneeded(const Vault& vault, const PrunedLogs& named,
                          const std::vector<PointLogs>& points) {
  PrunedLogs out;
  for (const auto& verdict : apply_window(points, known_logs(survey(vault)))) {
    const auto* kept = named.left_of(verdict.log);
    if (kept == nullptr) continue;
    auto both = *kept;
    both.insert(both.end(), verdict.kept.begin(), verdict.kept.end());
    out.narrow(verdict.log, unite(std::move(both)));
  }
  return out;
}

std::optional<std::string> why_lacking(const Logbook& logbook, const PrunedLogs& condemned,
                                       const LogStart& need) {
  const auto coverage = logbook.coverage(need.log);
  for (const auto& hole : coverage.holes) {
    if (hole.range.from < *need.until && need.position < hole.range.to) return hole.why;
  }
  const Ranges wanted{{need.position, *need.until}};
  const auto* left = condemned.left_of(need.log);
  if (left != nullptr && !subtract(wanted, *left).empty()) return "it is about to be pruned";
  if (!subtract(wanted, coverage.ranges).empty()) return "it begins later";
  return std::nullopt;
}

void prune_logs(const Vault& vault, const std::string& id, const PrunedLogs& logs,
                const std::string& fresh_id) {
  write_pruned(vault, id, logs);
  const auto all = read_pruned(vault);
  if (all.objects.size() < 2 || !all.damaged.empty()) return;
  write_pruned(vault, fresh_id, all.logs);
  for (const auto& name : all.objects) vault.store().remove(name);
}

}  // namespace lifeboat::vault
