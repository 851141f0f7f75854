#pragma once

#include <cstddef>
#include <string_view>

namespace lifeboat {

// JSON from outside whose arrays and objects lie deeper in each other is not taken: who copies,
// walks or writes it calls itself once a level, and the stack ends.
constexpr std::size_t kDeepestJson = 100;
// Looks at the text alone; what is no JSON may be either.
bool nests_too_deep(std::string_view json);

}  // namespace lifeboat
