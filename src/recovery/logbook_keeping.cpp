#include "recovery/logbook_keeping.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "recovery/extent_facts.hpp"

namespace lifeboat::recovery {
namespace {

constexpr Millis kTick{1000};
constexpr Millis kMostBetween{600'000};
constexpr int kNice = 10;

}  // namespace

vault::KeeperOptions keeper_options(const Config& config) {
  vault::KeeperOptions options;
  options.merge.after = config.logbook.merge_after;
  options.merge.to = config.logbook.merge_to;
  options.remove_after = config.logbook.remove_after;
  return options;
}

LogbookKeeping::LogbookKeeping(const Context& context, vault::Vault vault)
    : context_(context),
      options_(keeper_options(context.config)),
      keeper_(vault, options_, log_policy(), context.clock, context.random) {}

void LogbookKeeping::catch_up() {
  if (auto written = keeper_.catch_up(context_.cancel); written > 0) {
    spdlog::info("logbook: {} summaries were written for a history that had none", written);
  }
}

void LogbookKeeping::run(const vault::LogbookWriter& writer, const Cancel& cancel) {
  // Of this thread alone, as Linux has it; without it the work is done all the same.
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, kNice));
  auto between = std::clamp(options_.merge.after / 4, kTick, kMostBetween);
  auto last = context_.clock.steady();
  std::uint64_t seen = 0;
  while (cancel.sleep_for(kTick)) {
    auto objects = writer.status().objects;
    auto now = context_.clock.steady();
    if (now - last < between && objects - seen < options_.summarize_objects) continue;
    round(writer, cancel);
    last = context_.clock.steady();
    seen = objects;
  }
}

void LogbookKeeping::round(const vault::LogbookWriter& writer, const Cancel& cancel) {
  try {
    auto kept = keeper_.keep({writer.incarnation()}, cancel);
    for (const auto& problem : kept.problems) spdlog::error("logbook: {}", problem);
    if (kept.may_not_remove && !std::exchange(told_, true)) {
      spdlog::info("logbook: these credentials may not delete what was merged: left to prune");
    }
    if (kept.summaries + kept.merged + kept.rewritten + kept.removed == 0) return;
    spdlog::info(
        "logbook: {} objects merged, {} replaced without what was pruned, {} removed that were "
        "replaced before, {} summaries",
        kept.merged, kept.rewritten, kept.removed, kept.summaries);
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) return;
    spdlog::warn("logbook: merging is tried again later: {}", error.what());
  }
}

}  // namespace lifeboat::recovery
