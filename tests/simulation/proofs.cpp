#include "simulation/proofs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "simulation/violation.hpp"
#include "vault/pack_index.hpp"
#include "vault/points.hpp"

namespace lifeboat::vault::simulation {
namespace {

std::vector<PointProof> points_after(const Vault& vault, const Proven& before, const Proof& run,
                                     const VerifyReport& report) {
  std::vector<PointProof> out;
  for (const auto& listed : list_points(vault)) {
    const auto* known = before.find(listed.id);
    out.push_back(known != nullptr ? *known : PointProof{listed.id, {}, {}, {}, {}});
    for (const auto& result : report.results) {
      if (result.id != listed.id) continue;
      add_outcome(out.back(), {run.began, run.depth, result.verdict, result.what});
    }
  }
  return out;
}

}  // namespace

Proven ProofModel::known() const {
  std::vector<ListedProof> listed;
  for (const auto& [id, proof] : there_) listed.push_back({id, proof, Code::corrupt, ""});
  return merge_proofs(listed);
}

void ProofModel::written(const Vault& vault, const std::string& id, const std::string& bytes,
                         const std::vector<std::string>& live) {
  const auto before = known();
  there_[id] = open_proof(vault.sealing(), id, bytes);
  ++kept_;
  const auto now = known();
  for (const auto& point : live) {
    const auto* then = before.find(point);
    if (then == nullptr) continue;
    const auto* proof = now.find(point);
    if (proof == nullptr || proof->existence < then->existence || proof->sample < then->sample ||
        proof->data < then->data) {
      throw Violation{fmt::format("proof {} forgets when point {} was proven", id, point)};
    }
  }
}

void ProofModel::removes(const std::string& id) {
  const auto before = known();
  if (there_.erase(id) == 0) return;
  const auto now = known();
  if (now.points == before.points && now.damaged == before.damaged && now.next == before.next)
    return;
  throw Violation{"proof " + id + " is removed, and no other one says what it says"};
}

void ProofModel::expect_no_garbage() const {
  if (there_.size() > 1)
    throw Violation{fmt::format("proofs stay for ever that others replace: {}", there_.size())};
}

VerifyReport ProofLives::verify(const Vault& vault, const std::string& host, const Clock& its_clock,
                                Clock& clock, const Cancel& cancel) const {
  Proof run;
  run.began = its_clock.now();
  const auto before = read_proven(vault);
  VerifyOptions options;
  options.depth = static_cast<Depth>(chance.below(3));
  options.share = Share(300'000);
  options.damaged = before.damaged;
  options.from = before.next.value_or(SamplePlace{chance.below(1000), 0, 0, 0});
  auto report = vault::verify(vault, options, cancel);
  run.id = make_proof_id(clock, chance);
  run.finished = its_clock.now();
  run.host = host;
  run.depth = options.depth;
  if (run.depth == Depth::sample) run.share = options.share;
  run.verdict = !report.good()          ? Verdict::failed
                : report.unread.empty() ? Verdict::verified
                                        : Verdict::could_not_verify;
  run.objects = report.objects;
  run.bytes = report.bytes;
  run.unchecked = report.unread;
  run.points = points_after(vault, before, run, report);
  auto damaged = report.damaged;
  for (const auto& name : before.damaged) {
    if (!report.settled.contains(name)) damaged.insert(name);
  }
  // A disk that read wrongly once.
  if (chance.below(4) == 0) {
    const auto packs = list_packs(vault);
    if (!packs.empty()) damaged.insert(packs[chance.below(packs.size())].name);
  }
  run.damaged.assign(damaged.begin(), damaged.end());
  run.next = run.depth == Depth::sample && report.unread.empty() ? report.next : before.next;
  run.replaces = replaces_unread ? read_proven(vault).seen : before.seen;
  write_proof(vault, run);
  remove_replaced_proofs(vault);
  return report;
}

}  // namespace lifeboat::vault::simulation
