#include "serve/watch.hpp"

#include <spdlog/spdlog.h>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "recovery/history.hpp"
#include "vault/logbook.hpp"
#include "vault/points.hpp"

namespace lifeboat::serve {
namespace {

constexpr Millis kEvery{30'000};

}  // namespace

Watch::Watch(const recovery::Context& outer, vault::Vault vault)
    : outer_(outer),
      vault_(std::move(vault)),
      random_(outer.random.next()),
      thread_(start_thread("watching the vault", [this] { run(); })) {}

Watch::~Watch() {
  cancel_.request();
  thread_.join();
}

std::optional<Watched> Watch::last() const {
  std::lock_guard lock(mutex_);
  return last_;
}

void Watch::run() {
  recovery::Context context{outer_.config, outer_.clock, random_, cancel_, outer_.reporter};
  do {
    try {
      auto now = look(context);
      warn(now);
      std::lock_guard lock(mutex_);
      last_ = std::move(now);
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) return;
      spdlog::warn("could not look at the vault: {}", error.what());
    }
  } while (cancel_.sleep_for(kEvery));
}

Watched Watch::look(const recovery::Context& context) {
  Watched out;
  out.at = context.clock.now();
  auto logbook = vault::Logbook::load(vault_);
  for (const auto& log : logbook.logs()) {
    Watched::Log one{log.log.value, log.gaps, 0};
    if (log.gaps > 0) {
      for (const auto& hole : logbook.coverage(log.log).holes) {
        if (!hole.pruned) one.missing += hole.range.to - hole.range.from;
      }
    }
    out.logs.push_back(std::move(one));
  }
  const auto proven = vault::read_proven(vault_);
  for (const auto& run : proven.runs) {
    if (!out.verify || out.verify->finished < run.finished) out.verify = run;
  }
  for (const auto& listed : vault::list_points(vault_)) {
    ++out.points;
    if (!listed.point) continue;
    out.newest_point = listed.point->created;
    const auto* proof = proven.find(listed.id);
    out.newest_proof = proof != nullptr ? *proof : vault::PointProof();
    const auto& open = out.newest_proof.open;
    out.failed_points += open && open->verdict == vault::Verdict::failed ? 1 : 0;
  }
  if (!context.config.kafka) return out;
  try {
    recovery::follow_histories(logbook);
    out.partitions = recovery::partitions_left(context, logbook);
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    out.problems.push_back(error.what());
  }
  return out;
}

// Once for each new text, so that the log is not flooded.
void Watch::warn(const Watched& now) {
  std::string problem = now.problems.empty() ? "" : now.problems.front();
  if (problem != problem_ && !problem.empty()) {
    spdlog::warn("how long Kafka keeps its records is not known: {}", problem);
  }
  problem_ = problem;
  for (const auto& one : now.partitions) {
    auto& before = warned_[one.log];
    if (!recovery::alarming(one.left, outer_.config.alarm_before)) {
      if (!before.empty()) spdlog::info("{}: archived in time", kafka::to_string(one.log));
      before.clear();
      continue;
    }
    auto text = recovery::to_string(one.left);
    if (text == before) continue;
    before = text;
    if (one.left.kind == recovery::TimeLeft::Kind::passed) {
      spdlog::error("{}: retention has passed what is archived: [{}, {}) is lost",
                    kafka::to_string(one.log), one.facts.next, one.facts.source_start);
    } else {
      spdlog::warn("{}: Kafka deletes records that are not archived, from {} on, in about {}",
                   kafka::to_string(one.log), one.facts.next, text);
    }
  }
}

}  // namespace lifeboat::serve
