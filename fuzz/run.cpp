#include <cstdio>
#include <cstdlib>

#include "fuzz/targets.hpp"

namespace lifeboat::fuzz {

bool run(Target target, std::string_view bytes) {
  try {
    target(bytes);
    return true;
  } catch (const Error& error) {
    if (error.message().empty()) broken("an Error without a message");
    return false;
  }
}

void broken(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

}  // namespace lifeboat::fuzz
