#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.hpp"
#include "recovery/context.hpp"

namespace lifeboat::cli {

// How progress is told. All are thread-safe.
enum class Telling {
  nothing,   // notes only, on stderr (--quiet)
  lines,     // steps and notes as lines on stderr
  terminal,  // the same, and a line that moves: amount, rate, time left
  events,    // one JSON object a line on stdout
  log,       // through the log on stderr (`run`)
};
std::unique_ptr<recovery::Reporter> make_reporter(Telling telling, Clock& clock);

}  // namespace lifeboat::cli
