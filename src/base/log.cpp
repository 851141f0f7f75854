#include "base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace lifeboat {

void init_log(Verbosity verbosity) {
  auto logger = spdlog::stderr_color_mt("lifeboat");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(verbosity == Verbosity::quiet     ? spdlog::level::warn
                    : verbosity == Verbosity::verbose ? spdlog::level::debug
                                                      : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace lifeboat
