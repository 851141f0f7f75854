#pragma once

#include <string>

namespace lifeboat::vault::simulation {

// An invariant does not hold. Not an Error on purpose: nothing that handles Errors may handle it.
struct Violation {
  std::string what;
};

}  // namespace lifeboat::vault::simulation
