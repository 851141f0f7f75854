#include "serve/verify_thread.hpp"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/thread.hpp"
#include "serve/schedule.hpp"
#include "vault/points.hpp"
#include "vault/proof.hpp"

namespace lifeboat::serve {
namespace {

constexpr int kNice = 10;
constexpr std::size_t kMostLogged = 20;
constexpr Millis kLongestWait{60'000};  // the wall clock may be set, and others verify too

recovery::VerifyRequest request_of(const recovery::VerifyConfig& config) {
  recovery::VerifyRequest request;
  if (!config.sample) return request;
  request.depth = vault::Depth::sample;
  request.share = *config.sample;
  return request;
}

}  // namespace

VerifyThread::VerifyThread(const recovery::Context& outer, vault::Vault vault)
    : outer_(outer),
      vault_(std::move(vault)),
      request_(request_of(outer.config.verify)),
      random_(outer.random.next()),
      thread_(start_thread("verifying", [this] { run(); })) {}

VerifyThread::~VerifyThread() {
  cancel_.request();
  thread_.join();
}

void VerifyThread::run() {
  ::setpriority(PRIO_PROCESS, 0, kNice);  // Linux: of this thread; those it starts inherit it
  // Not at once: what a start has to do comes first.
  while (cancel_.sleep_for(std::min(outer_.config.verify.every, kLongestWait))) {
    const auto now = outer_.clock.now();
    try {
      if (!due(now)) continue;
      verify();
      last_ = now;
      failed_.reset();
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) return;
      spdlog::error("not verified: {}; next: {}", error.what(), error.hint());
      failed_ = now;
    }
  }
}

// The vault is asked, so that one of several daemons does it, and none after each start.
bool VerifyThread::due(Timestamp now) {
  const auto every = outer_.config.verify.every;
  if (next_run_at({last_, failed_}, every, now) > now) return false;
  const auto known = vault::read_proven(vault_).last_run(request_.depth);
  if (known && (!last_ || *last_ < *known)) last_ = known;
  return next_run_at({last_, failed_}, every, now) <= now && !vault::list_points(vault_).empty();
}

void VerifyThread::verify() {
  recovery::Context context{outer_.config, outer_.clock, random_, cancel_, outer_.reporter};
  const auto begun = outer_.clock.steady();
  const auto result = recovery::verify_all(context, vault_, request_);
  log_result(result);
  spdlog::info("verified in {:.1f} s: {}, {} objects, {} bytes read",
               seconds_between(begun, outer_.clock.steady()), to_string(result.verdict),
               result.report.objects, result.report.bytes.value);
}

std::string costs(const vault::Damage& damage) {
  auto out = damage.points.empty() ? "none" : fmt::format("{}", fmt::join(damage.points, ", "));
  if (damage.unknown.empty()) return out;
  return out + fmt::format(", perhaps {}", fmt::join(damage.unknown, ", "));
}

void log_result(const recovery::VerifyResult& result) {
  std::size_t left = kMostLogged;
  for (const auto& damage : result.report.damages) {
    if (left-- == 0) break;
    spdlog::error("verify: damaged {} {}: {}; costs points: {}; next: {}", damage.kind,
                  damage.object, damage.problem, costs(damage), damage.hint);
  }
  const auto& damages = result.report.damages;
  const auto more =
      result.report.more_damages + damages.size() - std::min(kMostLogged, damages.size());
  if (more > 0) spdlog::error("verify: and {} more; `lifeboat verify` names them", more);
  for (const auto& what : result.unchecked) spdlog::warn("verify: not checked: {}", what);
  if (!result.not_kept.empty()) spdlog::warn("verify: this is not kept: {}", result.not_kept);
}

}  // namespace lifeboat::serve
