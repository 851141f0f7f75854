#pragma once

#include <string>

namespace lifeboat {

// This machine's name, for people who look for who did something.
std::string host_name();

}  // namespace lifeboat
