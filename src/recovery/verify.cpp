#include "recovery/verify.hpp"

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "base/host.hpp"
#include "recovery/saved_files.hpp"
#include "vault/damage.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {
namespace {

using vault::Depth;
using vault::Verdict;

// Which of ClickHouse's files are read.
FileChoice files_to_read(const vault::VerifyOptions& options, const std::string& backup) {
  if (options.depth == Depth::existence) return {};
  if (options.depth == Depth::data) return [](const SavedFile&) { return true; };
  auto arc = vault::arc_of(options.from.files, options.share);
  return [arc, backup, seed = options.from.seed](const SavedFile& file) {
    return arc.holds(vault::place_of(seed, backup + "/" + file.name));
  };
}

// Of the point that was looked at.
vault::PointResult& result_of(VerifyResult& result, const std::string& point) {
  auto& all = result.report.results;
  auto it = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.id == point; });
  if (it != all.end()) return *it;
  return all.emplace_back(vault::PointResult{point, Verdict::verified, "", 0});
}

void add_damage(VerifyResult& result, const std::string& point, const std::string& file, Code code,
                const std::string& problem) {
  auto& one = result_of(result, point);
  if (one.verdict != Verdict::failed) one = {point, Verdict::failed, file + " " + problem, 0};
  if (result.report.damages.size() >= vault::kMaxDamages) {
    ++result.report.more_damages;
    return;
  }
  vault::Damage damage;
  damage.object = file;
  damage.kind = "clickhouse backup";
  damage.code = code;
  damage.problem = problem;
  damage.hint =
      "put the file back from a copy of that disk, or take a new point (`lifeboat backup`): "
      "each has a BACKUP of its own. To give this one up: `lifeboat prune --drop " +
      point + "`";
  damage.hits.push_back("point " + point);
  damage.points.insert(point);
  result.report.damages.push_back(std::move(damage));
}

void could_not_look(VerifyResult& result, const std::string& point, const std::string& why) {
  result.unchecked.push_back("point " + point + ": " + why);
  auto& one = result_of(result, point);
  if (one.verdict == Verdict::verified) one = {point, Verdict::could_not_verify, why, 0};
}

void verify_files_of(const Context& c, const vault::Vault& vault,
                     const vault::VerifyOptions& options, const vault::RecoveryPoint& point,
                     VerifyResult& result) {
  if (!point.stores.contains("clickhouse")) return;
  if (!c.config.clickhouse) {
    return could_not_look(result, point.id,
                          "ClickHouse's backup files, as lifeboat.yaml has no clickhouse");
  }
  try {
    auto document = clickhouse_document_from_json(point.stores["clickhouse"]);
    auto folder = c.config.clickhouse->backup_path / document.backup;
    auto checked = check_backup_files(
        vault::SnapshotReader(vault, document.snapshot), folder,
        files_to_read(options, document.backup), c.cancel,
        [&](const SavedFile& file, const std::string& problem, Code code) {
          add_damage(result, point.id, (folder / file.name).string(), code, problem);
        });
    result.report.objects += checked.files;
    result.report.bytes = result.report.bytes + checked.bytes.value;
    result.report.content = result.report.content + checked.bytes.value;
    result.report.total = result.report.total + checked.total.value;
  } catch (const Error& e) {
    if (e.code() == Code::cancelled) throw;
    if (!vault::is_damage(e.code())) return could_not_look(result, point.id, e.what());
    add_damage(result, point.id, "point " + point.id, e.code(), e.what());
  }
}

// The backups' files of every point that is looked at.
void verify_backup_files(const Context& c, const vault::Vault& vault,
                         const vault::VerifyOptions& options, VerifyResult& result) {
  if (result.report.stopped) return;  // the store does not answer
  for (const auto& listed : vault::list_points(vault)) {
    if (!listed.point || (options.point && listed.id != *options.point)) continue;
    verify_files_of(c, vault, options, *listed.point, result);
  }
  if (options.depth == Depth::sample && result.report.next) {
    result.report.next->files = vault::arc_of(options.from.files, options.share).upto;
  }
}

Verdict verdict_of(const VerifyResult& result) {
  if (!result.report.good()) return Verdict::failed;
  return result.unchecked.empty() ? Verdict::verified : Verdict::could_not_verify;
}

std::vector<vault::DamageNote> notes_of(const vault::VerifyReport& report) {
  std::vector<vault::DamageNote> out;
  for (const auto& damage : report.damages) {
    if (out.size() >= vault::kMaxNotes) break;
    out.push_back({damage.object,
                   damage.kind,
                   damage.problem,
                   damage.hint,
                   {damage.points.begin(), damage.points.end()}});
  }
  return out;
}

// What is known of points now: of those that are still there.
std::vector<vault::PointProof> points_after(const vault::Vault& vault, const vault::Proven& before,
                                            const vault::Proof& run,
                                            const std::vector<vault::PointResult>& results) {
  std::map<std::string, vault::PointProof> points;
  for (const auto& listed : vault::list_points(vault)) {
    const auto* known = before.find(listed.id);
    points.emplace(listed.id,
                   known != nullptr ? *known : vault::PointProof{listed.id, {}, {}, {}, {}});
  }
  for (const auto& result : results) {
    auto it = points.find(result.id);
    if (it == points.end()) continue;
    vault::add_outcome(it->second, {run.began, run.depth, result.verdict, result.what});
    const bool proven = result.verdict == Verdict::verified;
    if (!proven || run.turn != before.turn) {
      vault::add_sample(it->second, proven ? std::optional(result.set) : std::nullopt, run.turn);
    }
  }
  std::vector<vault::PointProof> out;
  for (auto& [id, point] : points) out.push_back(std::move(point));
  return out;
}

vault::Proof record_of(const Context& c, const vault::Vault& vault, const VerifyRequest& request,
                       const vault::Proven& before, Timestamp began, const VerifyResult& result) {
  const auto& report = result.report;
  vault::Proof run;
  run.id = vault::make_proof_id(c.clock, c.random);
  run.began = began;
  run.finished = c.clock.now();
  run.host = host_name();
  run.depth = request.depth;
  if (request.depth == Depth::sample) run.share = request.share;
  run.point = request.point;
  run.verdict = result.verdict;
  run.objects = report.objects;
  run.bytes = report.bytes;
  run.damages = notes_of(report);
  run.unchecked = result.unchecked;
  // Of one point it is another circle: the next sample of all goes on where the last one ended.
  bool sampled = request.depth == Depth::sample && !request.point && report.next;
  run.next = sampled ? report.next : before.next;
  run.turn =
      sampled ? vault::with_run(before.turn, result.from, {began, *report.next}) : before.turn;
  run.points = points_after(vault, before, run, report.results);
  std::set<std::string> damaged = report.damaged;
  for (const auto& name : before.damaged) {
    if (!report.settled.contains(name)) damaged.insert(name);
  }
  run.damaged.assign(damaged.begin(), damaged.end());
  run.replaces = before.seen;
  return run;
}

// Records that cannot be read are not replaced: all that they could say was proven anew.
void remove_broken_proofs(const vault::Vault& vault) {
  for (const auto& listed : vault::list_proofs(vault)) {
    if (!listed.proof && listed.code == Code::corrupt) {
      vault.store().remove(vault::proof_name(listed.id));
    }
  }
}

// A verify that may not write, or finds no room, has still said what it has found.
void keep(const Context& c, const vault::Vault& vault, const VerifyRequest& request,
          const vault::Proven& before, Timestamp began, VerifyResult& result) {
  try {
    auto run = record_of(c, vault, request, before, began, result);
    vault::write_proof(vault, run);
    result.kept = vault::proof_name(run.id);
    vault::remove_replaced_proofs(vault);
    bool all = request.depth == Depth::data && !request.point && result.unchecked.empty();
    if (all) remove_broken_proofs(vault);
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    if (result.kept.empty()) result.not_kept = error.what();
  }
}

vault::SamplePlace place_to_go_on(const Context& c, const VerifyRequest& request,
                                  const vault::Proven& before) {
  if (request.seed) return {*request.seed, 0, 0, 0};
  if (before.next && !request.point) return *before.next;
  return {c.random.below(1ull << 32), 0, 0, 0};  // one that JSON's readers keep
}

}  // namespace

VerifyResult verify_all(const Context& c, const vault::Vault& vault, const VerifyRequest& request) {
  const auto began = c.clock.now();
  auto before = vault::read_proven(vault);
  vault::VerifyOptions options;
  options.point = request.point;
  options.depth = request.depth;
  options.share = request.share;
  options.damaged = before.damaged;
  if (request.depth == Depth::sample) options.from = place_to_go_on(c, request, before);
  options.progress = [&c](const vault::VerifyProgress& p) {
    c.reporter.progress(p.doing, p.bytes.value, p.total.value, "bytes");
  };
  VerifyResult result;
  result.report = vault::verify(vault, options, c.cancel);
  result.unchecked = result.report.unread;
  if (request.depth == Depth::sample) result.seed = options.from.seed;
  result.from = options.from;
  verify_backup_files(c, vault, options, result);
  if (result.report.points == 0 && result.unchecked.empty()) {
    result.unchecked.push_back("the vault holds no point");
  }
  result.verdict = verdict_of(result);
  keep(c, vault, request, before, began, result);
  return result;
}

nlohmann::json proof_json(const vault::PointProof* proof) {
  auto time = [](const std::optional<Timestamp>& at) {
    return at ? nlohmann::json(to_string(*at)) : nlohmann::json(nullptr);
  };
  static const vault::PointProof kNever;
  if (proof == nullptr) proof = &kNever;
  nlohmann::json out = {{"state", proof->existence ? "VERIFIED" : "never"},
                        {"existence", time(proof->existence)},
                        {"sample", time(proof->sample)},
                        {"data", time(proof->data)}};
  if (proof->whole) {
    out["whole"] = {{"from", to_string(proof->whole->from)}, {"to", to_string(proof->whole->to)}};
  }
  if (!proof->open) return out;
  out["state"] = to_string(proof->open->verdict);
  out["at"] = to_string(proof->open->at);
  out["depth"] = to_string(proof->open->depth);
  out["what"] = proof->open->what;
  return out;
}

nlohmann::json run_json(const vault::Proof& run) {
  nlohmann::json out = {{"began", to_string(run.began)},
                        {"finished", to_string(run.finished)},
                        {"host", run.host},
                        {"depth", to_string(run.depth)},
                        {"verdict", to_string(run.verdict)},
                        {"objects", run.objects},
                        {"bytes", run.bytes.value},
                        {"damages", nlohmann::json::array()},
                        {"unchecked", run.unchecked}};
  if (run.share) out["share"] = to_string(*run.share);
  if (run.point) out["point"] = *run.point;
  for (const auto& one : run.damages) {
    out["damages"].push_back({{"object", one.object},
                              {"kind", one.kind},
                              {"problem", one.problem},
                              {"next", one.next},
                              {"points", one.points}});
  }
  return out;
}

}  // namespace lifeboat::recovery
