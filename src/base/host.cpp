#include "base/host.hpp"

#include <unistd.h>

namespace lifeboat {

std::string host_name() {
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0) return "an unknown host";
  return name;
}

}  // namespace lifeboat
