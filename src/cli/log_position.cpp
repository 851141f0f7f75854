#include "cli/log_position.hpp"

#include <fmt/format.h>

#include "recovery/log_names.hpp"

namespace lifeboat::cli {}  // namespace lifeboat::cli
