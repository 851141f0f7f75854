#pragma once

#include <spdlog/spdlog.h>

namespace lifeboat {

// Messages go to stderr, data to stdout. Call once, at the start of the program.
enum class Verbosity { quiet, normal, verbose };
void init_log(Verbosity verbosity);

}  // namespace lifeboat
