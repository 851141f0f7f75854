#include "cli/log_position.hpp"

#include <fmt/format.h>

#include "recovery/log_names.hpp"

namespace lifeboat::cli {

std::string position_text(const vault::LogName& log, Position position) {
  if (!recovery::parse_wal_log(log)) return fmt::format("{}", position);
  return to_string(Lsn(static_cast<std::uint64_t>(position.value)));
}

}  // namespace lifeboat::cli
