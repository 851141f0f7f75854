#pragma once

#include <string>

#include "vault/extent.hpp"

namespace lifeboat::cli {

// For people: LSNs of WAL, numbers of all other logs.
std::string position_text(const vault::LogName& log, Position position);

}  // namespace lifeboat::cli
