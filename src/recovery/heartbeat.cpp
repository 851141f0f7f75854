#include "recovery/heartbeat.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/thread.hpp"

namespace lifeboat::recovery {
namespace {

constexpr Millis kMostBetweenBeats{60'000};

}  // namespace

Heartbeat::Heartbeat(const Config& config, std::string whose, std::function<bool()> beat)
    : whose_(std::move(whose)),
      beat_(std::move(beat)),
      every_(std::min(kMostBetweenBeats, config.retention.value_or(RetentionConfig{}).grace / 4)),
      thread_(start_thread("giving signs of life", [this] { run(); })) {}

Heartbeat::~Heartbeat() {
  stop_.request();
  thread_.join();
}

void Heartbeat::run() {
  while (stop_.sleep_for(every_)) {
    try {
      if (!beat_()) return;
    } catch (const Error& error) {
      spdlog::warn("{}: no sign of life could be given: {}", whose_, error.what());
    }
  }
}

}  // namespace lifeboat::recovery
