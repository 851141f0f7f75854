#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "fuzz/targets.hpp"

namespace lifeboat::fuzz {

void run(Target target, std::string_view bytes) {
  try {
    target(bytes);
  } catch (const Error& error) {
    if (error.message().empty()) broken("an Error without a message");
  }
}

void broken(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

}  // namespace lifeboat::fuzz
